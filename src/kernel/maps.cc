#include "kernel/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include <algorithm>
#include <cstring>

namespace carrick::kernel {
namespace {

// Bytes of one batch buffer; the kernel copies it whole.
constexpr size_t kBatchBytes = 256 * 1024;

class LinuxMap : public Map {
 public:
  LinuxMap(Fd fd, MapShape shape) : fd_(std::move(fd)), shape_(std::move(shape)) {}

  const MapShape& shape() const override { return shape_; }

  BatchOutcome update(std::span<const MapEntry> entries) override {
    size_t done = 0;
    while (done < entries.size()) {
      const size_t count = std::min(entries.size() - done, batch_size());
      const auto chunk = entries.subspan(done, count);
      uint32_t written = static_cast<uint32_t>(count);
      int failed = -EOPNOTSUPP;
      if (count > 1 && batches_) failed = update_batch(chunk, written);
      if (failed == -EOPNOTSUPP || failed == -EINVAL || failed == -ENOTSUP) {
        batches_ = count > 1 ? false : batches_;
        failed = update_singly(chunk, written);
      }
      done += written;
      if (failed) return {done, error_of(-failed, "update")};
    }
    return {done, {}};
  }

  BatchOutcome remove(std::span<const std::string> keys) override {
    for (size_t done = 0; done < keys.size(); ++done) {
      if (bpf_map_delete_elem(fd_.get(), keys[done].data()) && errno != ENOENT)
        return {done, error_of(errno, "delete from")};
    }
    return {keys.size(), {}};
  }

  Result<std::optional<std::string>> lookup(std::string_view key) override {
    std::string value(shape_.value_size, '\0');
    if (bpf_map_lookup_elem(fd_.get(), key.data(), value.data())) {
      if (errno == ENOENT) return std::optional<std::string>();
      return std::unexpected(error_of(errno, "read"));
    }
    return std::optional(std::move(value));
  }

  // By keys, then values: the batch lookup of hashes needs a buffer for a whole bucket, and tries have none of their
  // own.
  Result<std::vector<MapEntry>> read_all() override {
    std::vector<std::string> keys;
    std::string key(shape_.key_size, '\0');
    const void* previous = nullptr;
    while (bpf_map_get_next_key(fd_.get(), previous, key.data()) == 0) {
      if (keys.size() > shape_.max_entries) break;  // others write meanwhile: the walk may start again
      keys.push_back(key);
      previous = keys.back().data();
    }
    if (errno != ENOENT && keys.size() <= shape_.max_entries) return std::unexpected(error_of(errno, "walk"));
    std::vector<MapEntry> entries;
    entries.reserve(keys.size());
    for (auto& each : keys) {
      auto value = TRY(lookup(each));
      if (value) entries.push_back({std::move(each), std::move(*value)});
    }
    return entries;
  }

 private:
  size_t batch_size() const { return std::max<size_t>(1, kBatchBytes / (shape_.key_size + shape_.value_size)); }

  int update_batch(std::span<const MapEntry> entries, uint32_t& count) {
    keys_.resize(entries.size() * shape_.key_size);
    values_.resize(entries.size() * shape_.value_size);
    for (size_t i = 0; i < entries.size(); ++i) {
      std::memcpy(keys_.data() + i * shape_.key_size, entries[i].key.data(), shape_.key_size);
      std::memcpy(values_.data() + i * shape_.value_size, entries[i].value.data(), shape_.value_size);
    }
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    count = static_cast<uint32_t>(entries.size());
    if (bpf_map_update_batch(fd_.get(), keys_.data(), values_.data(), &count, &options) == 0) return 0;
    const int failed = -errno;
    if (failed == -EINVAL || failed == -EOPNOTSUPP || failed == -ENOTSUP || failed == -EFAULT) count = 0;
    return failed;
  }

  int update_singly(std::span<const MapEntry> entries, uint32_t& count) {
    for (count = 0; count < entries.size(); ++count)
      if (bpf_map_update_elem(fd_.get(), entries[count].key.data(), entries[count].value.data(), BPF_ANY))
        return -errno;
    return 0;
  }

  Error error_of(int number, std::string_view doing) const {
    const bool full = number == E2BIG || number == ENOSPC;
    if (full)
      return {ErrorKind::kTransient, fmt::format("map {} is full ({} entries)", shape_.name, shape_.max_entries)};
    return {ErrorKind::kTransient, fmt::format("{} map {}: {}", doing, shape_.name, std::strerror(number))};
  }

  Fd fd_;
  MapShape shape_;
  bool batches_ = true;
  std::string keys_, values_;
};

}  // namespace

Result<void> Map::put(std::string_view key, std::string_view value) {
  const MapEntry entry{std::string(key), std::string(value)};
  auto outcome = update({&entry, 1});
  if (outcome.error) return std::unexpected(*outcome.error);
  return {};
}

Result<void> Map::erase(std::string_view key) {
  const std::string owned(key);
  auto outcome = remove({&owned, 1});
  if (outcome.error) return std::unexpected(*outcome.error);
  return {};
}

Result<std::unique_ptr<Map>> open_map(Fd fd) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size)) return fail_errno(errno, "BPF map info");
  MapShape shape{info.name, info.key_size, info.value_size, info.max_entries};
  return std::make_unique<LinuxMap>(std::move(fd), std::move(shape));
}

Result<std::vector<uint64_t>> read_counters(int map_fd, uint32_t slots) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail(ErrorKind::kInternal, "number of CPUs is not known");
  const auto per_slot = static_cast<size_t>(cpus);
  std::vector<uint64_t> sums(slots), values(slots * per_slot);
  std::vector<uint32_t> keys(slots);
  uint32_t position = 0, count = slots;
  if (bpf_map_lookup_batch(map_fd, nullptr, &position, keys.data(), values.data(), &count, nullptr) && errno != ENOENT)
    return fail_errno(errno, "read counters");
  for (uint32_t i = 0; i < count; ++i)
    for (size_t cpu = 0; cpu < per_slot; ++cpu) sums.at(keys[i]) += values[i * per_slot + cpu];
  return sums;
}

}  // namespace carrick::kernel
