#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/host/paths.h"

// What a container is made of, once everything that its manifest refers to has been looked up. Written by lab-nodes
// into the container's folder, read by the processes that make or enter the container.
namespace carrick::lab {

struct ContainerMount {
  std::string source;    // file or folder of the lab
  std::string sub_path;  // below it; no symbolic link is followed
  std::string target;    // absolute, inside the container
  bool read_only = false;
  bool operator==(const ContainerMount&) const = default;
};

struct ContainerSpec {
  std::vector<std::string> command;  // empty: nothing of its own runs in it, the responder plays it
  std::vector<std::string> env;      // "NAME=value"
  std::string workdir;               // empty: /
  std::vector<ContainerMount> mounts;
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
  std::vector<std::string> capabilities;  // "NET_RAW"; what a program of root may have
  bool read_only_root = false;
  bool operator==(const ContainerSpec&) const = default;
};

std::string encode_container(const ContainerSpec& spec);
Result<ContainerSpec> decode_container(std::string_view text);

// PATH of the programs in containers: this process's own, since that is where they were looked for.
std::string program_path();

// Of containers that ask for nothing: as containerd gives them, without those that reach beyond the pod.
std::vector<std::string> default_capabilities();
// What a pod may add; nothing else is granted, whatever its manifest asks for.
bool may_be_added(std::string_view capability);
int capability_number(std::string_view name);  // -1: no such one

// Folder of one container, below its pod's.
struct ContainerPaths {
  std::string folder;
  ContainerPaths(const std::string& pod_folder, const std::string& container)
      : folder(pod_folder + "/containers/" + container) {}
  std::string spec() const { return folder + "/spec.json"; }
  std::string init() const { return folder + "/init"; }  // pid and start time of its first process
  std::string lock() const { return folder + "/lock"; }
  std::string root() const { return folder + "/root"; }
  std::string start_error() const { return folder + "/start_error"; }  // why its program could not be started
};

}  // namespace carrick::lab
