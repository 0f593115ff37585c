#include "cni/conflist.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>

#include "base/file.h"

namespace carrick::cni {
namespace json = boost::json;

std::string conflist(const ConflistOptions& options) {
  json::object capabilities{{"portMappings", true}, {"bandwidth", true}, {"ips", true}, {"mac", true}};
  json::object plugin{{"type", "carrick-cni"}, {"socket", options.socket}, {"capabilities", std::move(capabilities)}};
  json::object document{{"cniVersion", "1.0.0"},
                        {"cniVersions", {"0.4.0", "1.0.0", "1.1.0"}},
                        {"name", options.network},
                        {"plugins", json::array{std::move(plugin)}}};
  return json::serialize(document) + "\n";
}

Result<void> install_conflist(const std::string& directory, const ConflistOptions& options) {
  TRY_VOID(make_directories(directory, 0755));
  return write_file_atomically(directory + "/" + kConflistFile, conflist(options), 0644);
}

Result<void> uninstall_conflist(const std::string& directory) {
  std::string path = directory + "/" + kConflistFile;
  if (unlink(path.c_str()) < 0 && errno != ENOENT) return fail_errno(errno, path);
  return {};
}

}  // namespace carrick::cni
