#include "cni/conflist.h"

#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace carrick::cni {
namespace {

TEST(Conflist, IsWhatEveryRuntimeCanLoad) {
  auto document = boost::json::parse(conflist({.network = "carrick", .socket = "/x/cni.sock"}));
  EXPECT_EQ(document.at("cniVersion").as_string(), "1.0.0");
  EXPECT_EQ(document.at("cniVersions").as_array().size(), 3u);
  EXPECT_EQ(document.at("name").as_string(), "carrick");
  ASSERT_EQ(document.at("plugins").as_array().size(), 1u);
  EXPECT_EQ(document.at("plugins").at(0).at("type").as_string(), "carrick-cni");
  EXPECT_EQ(document.at("plugins").at(0).at("socket").as_string(), "/x/cni.sock");
  EXPECT_TRUE(document.at("plugins").at(0).at("capabilities").at("portMappings").as_bool());
}

// containerd ignores Create and Chmod and acts on Write and Rename inside the directory (CNI-R4).
TEST(Conflist, ArrivesByRenameWithinItsDirectory) {
  std::string dir = testing::TempDir() + "/carrick-conflist-XXXXXX";
  ASSERT_TRUE(mkdtemp(dir.data()));
  int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  inotify_add_watch(watch, dir.c_str(), IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY);
  ASSERT_TRUE(install_conflist(dir, {}));
  std::string path = dir + "/" + kConflistFile;
  bool renamed_from = false, renamed_to = false, written = false;
  alignas(inotify_event) char buffer[4096];
  ssize_t size = read(watch, buffer, sizeof buffer);
  for (ssize_t at = 0; at < size;) {
    auto* event = reinterpret_cast<inotify_event*>(buffer + at);
    bool final_name = std::string_view(event->name) == kConflistFile;
    renamed_from |= (event->mask & IN_MOVED_FROM) && !final_name;
    renamed_to |= (event->mask & IN_MOVED_TO) && final_name;
    written |= (event->mask & IN_MODIFY) && !final_name;
    EXPECT_FALSE((event->mask & IN_MODIFY) && final_name) << "a reader could see half of it";
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  close(watch);
  EXPECT_TRUE(renamed_from && renamed_to && written);
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1) << "no temporary file is left";
  ASSERT_TRUE(uninstall_conflist(dir));
  ASSERT_TRUE(uninstall_conflist(dir));
  EXPECT_FALSE(read_file(path));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace carrick::cni
