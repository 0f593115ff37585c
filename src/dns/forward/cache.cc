#include "dns/forward/cache.h"

#include <algorithm>

namespace carrick::dns {
namespace {

using Section = std::vector<Record> Message::*;
constexpr Section kSections[] = {&Message::answer, &Message::authority, &Message::additional};

size_t size_of(const Message& message) {
  size_t size = 400;  // the entry and its place in list and index
  for (Section section : kSections)
    for (const Record& record : message.*section)
      size += sizeof(Record) + record.owner.wire().size() + record.data.size();
  return size;
}

}  // namespace

uint32_t Cache::lifetime(const Message& message) const {
  if (message.truncated) return 0;
  if (message.rcode == kServFail) return bounds_.failure_ttl;
  if (message.rcode != kNoError && message.rcode != kNxDomain) return 0;
  bool denies = message.rcode == kNxDomain || message.answer.empty();
  uint32_t ttl = denies ? bounds_.denial_ttl : bounds_.positive_ttl;
  for (const Record& record : message.answer) ttl = std::min(ttl, record.ttl);
  if (!denies) return ttl;
  for (const Record& record : message.authority)
    if (auto minimum = soa_minimum(record)) return std::min({ttl, record.ttl, *minimum});
  return 0;  // a denial without SOA says nothing about how long it holds
}

std::optional<Message> Cache::find(const std::string& key, Clock::time_point now) {
  auto at = index_.find(key);
  if (at == index_.end()) return std::nullopt;
  if (at->second->until <= now) {
    drop(at->second);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, at->second);
  Message out = at->second->message;
  auto age = static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - at->second->from).count());
  for (Section section : kSections)
    for (Record& record : out.*section) record.ttl -= std::min(record.ttl, age);
  return out;
}

void Cache::put(const std::string& key, const Message& message, Clock::time_point now) {
  if (auto old = index_.find(key); old != index_.end()) drop(old->second);
  uint32_t seconds = lifetime(message);
  size_t bytes = size_of(message) + 2 * key.size();
  if (seconds == 0 || bytes > bounds_.bytes / 8) return;
  entries_.push_front({key, message, now, now + std::chrono::seconds(seconds), bytes});
  index_[key] = entries_.begin();
  bytes_ += bytes;
  while (entries_.size() > bounds_.entries || bytes_ > bounds_.bytes) drop(std::prev(entries_.end()));
  for (Section section : kSections)  // so that nobody is told more than we keep to
    for (Record& record : entries_.front().message.*section) record.ttl = std::min(record.ttl, bounds_.positive_ttl);
}

void Cache::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace carrick::dns
