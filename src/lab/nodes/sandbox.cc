#include "lab/nodes/sandbox.h"

#include <dirent.h>

#include <boost/json.hpp>

#include "lab/host/files.h"

namespace carrick::lab {

namespace json = boost::json;

std::string pod_cgroup(const LabConfig& config, const Sandbox& sandbox) {
  return node_cgroup(config.cgroup_mount, config.name, sandbox.node) + "/" + sandbox.uid;
}

std::string container_id_of(const std::string& pod_uid) {
  std::string id;
  for (const char* salt : {"a", "b", "c", "d"}) id += fmt::format("{:016x}", net::stable_hash(pod_uid + salt));
  return id;
}

Result<void> save_sandbox(const LabPaths& paths, const Sandbox& s) {
  json::array addresses(s.addresses.begin(), s.addresses.end());
  json::array containers(s.containers.begin(), s.containers.end());
  json::object document{{"namespace", s.pod.namespace_},
                        {"name", s.pod.name},
                        {"uid", s.uid},
                        {"node", s.node},
                        {"container_id", s.container_id},
                        {"netns", s.netns},
                        {"hostname", s.hostname},
                        {"host_network", s.host_network},
                        {"plumbed", s.plumbed},
                        {"addresses", addresses},
                        {"containers", containers},
                        {"started_at", s.started_at}};
  return write_file_atomically(paths.pod(s.pod.namespace_, s.pod.name) + "/sandbox.json", json::serialize(document),
                               0600);
}

Result<Sandbox> load_sandbox(const std::string& folder) {
  std::string text = TRY(read_file(folder + "/sandbox.json"));
  try {
    json::value document = json::parse(text);
    auto word = [&](const char* key) { return std::string(document.at(key).as_string()); };
    Sandbox s{.pod = {word("namespace"), word("name")},
              .uid = word("uid"),
              .node = word("node"),
              .container_id = word("container_id"),
              .netns = word("netns"),
              .hostname = word("hostname"),
              .host_network = document.at("host_network").as_bool(),
              .plumbed = document.at("plumbed").as_bool(),
              .started_at = word("started_at"),
              .folder = folder};
    for (const json::value& address : document.at("addresses").as_array())
      s.addresses.emplace_back(address.as_string());
    for (const json::value& name : document.at("containers").as_array()) s.containers.emplace_back(name.as_string());
    return s;
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, "{}/sandbox.json: {}", folder, e.what());
  }
}

std::vector<Sandbox> load_sandboxes(const LabPaths& paths) {
  std::vector<Sandbox> out;
  std::string folder = paths.pods_dir();
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] == '.') continue;
    if (auto sandbox = load_sandbox(folder + "/" + entry->d_name)) out.push_back(std::move(*sandbox));
  }
  ::closedir(dir);
  return out;
}

}  // namespace carrick::lab
