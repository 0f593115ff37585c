// rooms: lab

// What comes from pods and from whoever stores them: by the first byte an SCTP packet, the head of a request to a
// built-in program, the command line of one, or a pod from which environments and volumes are made.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "lab/pods/pod_material.h"
#include "lab/programs/flags.h"
#include "lab/programs/http.h"
#include "lab/programs/sctp.h"

using namespace carrick;
using namespace carrick::lab;
namespace json = boost::json;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void try_pod(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return;
  const json::object& pod = value.get_object();
  Material material;
  for (const MaterialRef& ref : needs_of(pod).objects) material.objects[ref] = {{"key", "value"}};
  (void)values_of(pod, true);
  const json::value* spec = pod.if_contains("spec");
  if (!spec || !spec->is_object()) return;
  for (const char* list : {"containers", "volumes"}) {
    const json::value* items = spec->get_object().if_contains(list);
    if (!items || !items->is_array()) continue;
    for (const json::value& item : items->get_array()) {
      if (!item.is_object()) continue;
      if (auto volume = volume_of(item.get_object(), pod, material))
        for (const VolumeFile& file : volume->files)
          require(!file.path.starts_with('/') && ("/" + file.path + "/").find("/../") == std::string::npos);
      auto env = container_env(pod, item.get_object(), material);
      if (!env) continue;
      if (auto made = container_spec(pod, item.get_object(), *env, "/volumes"))
        for (const ContainerMount& mount : made->mounts)
          require(mount.target.starts_with('/') && ("/" + mount.sub_path + "/").find("/../") == std::string::npos);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      if (const auto packet = decode_sctp({data + 1, size - 1})) require(decode_sctp(encode_sctp(*packet)) == packet);
      break;
    case 1:
      if (const auto asked = parse_http_head(text)) require(asked->target.starts_with('/'));
      break;
    case 2: {
      std::vector<std::string> words;
      for (const std::string_view word : split(text, ' ')) words.emplace_back(word);
      if (auto flags = Flags::parse(words, 0, {{"timeout", "0"}, {"tcp", "false"}}))
        require(flags->duration("timeout").count() >= 0);
      break;
    }
    case 3:
      try_pod(text);
      break;
  }
  return 0;
}
