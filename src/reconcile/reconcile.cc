#include "reconcile/reconcile.h"

#include <algorithm>

namespace carrick::reconcile {

Result<void> Table::read_back() {
  auto rows = store_.read();
  if (!rows) return with_context(rows.error(), "table {}", name_);
  shadow_.clear();
  for (auto& row : *rows) shadow_.emplace(std::move(row.key), std::move(row.value));
  puts_.clear();
  removals_.clear();
  troubles_.clear();
  return {};
}

void Table::desire(std::vector<Row> rows, bool prune) {
  std::ranges::sort(rows, {}, &Row::key);
  puts_.clear();
  removals_.clear();
  auto shadow = shadow_.begin();
  for (auto& row : rows) {
    for (; shadow != shadow_.end() && shadow->first < row.key; ++shadow)
      if (prune) removals_.push_back(shadow->first);
    const bool there = shadow != shadow_.end() && shadow->first == row.key;
    if (!there || shadow->second != row.value) puts_.push_back(std::move(row));
    if (there) ++shadow;
  }
  for (; shadow != shadow_.end(); ++shadow)
    if (prune) removals_.push_back(shadow->first);
  // Only rows that are still wanted and still wrong keep their back-off.
  std::erase_if(troubles_, [&](const auto& each) {
    return !std::ranges::binary_search(puts_, each.first, {}, &Row::key) &&
           !std::ranges::binary_search(removals_, each.first);
  });
}

bool Table::due(const std::string& key, Time now) const {
  const auto trouble = troubles_.find(key);
  return trouble == troubles_.end() || trouble->second.next <= now;
}

void Table::failed(const std::string& key, const std::string& owner, Error error, Time now) {
  auto& trouble = troubles_[key];
  trouble.owner = owner;
  trouble.error = std::move(error);
  const auto delay = options_.first_delay * (uint64_t{1} << std::min(trouble.attempts, 20u));
  trouble.next = now + std::min<std::chrono::milliseconds>(delay, options_.longest_delay);
  ++trouble.attempts;
}

size_t Table::write(Time now) {
  std::vector<Row> tries, later;
  for (auto& row : puts_) (due(row.key, now) && !(held_ && held_(row)) ? tries : later).push_back(std::move(row));
  size_t written = 0;
  for (size_t at = 0; at < tries.size();) {
    const auto batch = std::span(tries).subspan(at, std::min(options_.batch, tries.size() - at));
    auto outcome = store_.write(batch);
    for (size_t i = 0; i < outcome.done; ++i) {
      troubles_.erase(batch[i].key);
      shadow_.insert_or_assign(std::move(batch[i].key), std::move(batch[i].value));
    }
    written += outcome.done;
    at += outcome.done;
    if (!outcome.error) continue;
    auto& bad = tries[at];
    failed(bad.key, bad.owner, std::move(*outcome.error), now);
    later.push_back(std::move(bad));
    ++at;
  }
  std::ranges::sort(later, {}, &Row::key);
  puts_ = std::move(later);
  return written;
}

size_t Table::erase(Time now) {
  std::vector<std::string> tries, later;
  for (auto& key : removals_) (due(key, now) ? tries : later).push_back(std::move(key));
  size_t erased = 0;
  for (size_t at = 0; at < tries.size();) {
    const auto batch = std::span(tries).subspan(at, std::min(options_.batch, tries.size() - at));
    auto outcome = store_.erase(batch);
    for (size_t i = 0; i < outcome.done; ++i) {
      troubles_.erase(batch[i]);
      shadow_.erase(batch[i]);
    }
    erased += outcome.done;
    at += outcome.done;
    if (!outcome.error) continue;
    failed(tries[at], "", std::move(*outcome.error), now);
    later.push_back(std::move(tries[at]));
    ++at;
  }
  std::ranges::sort(later);
  removals_ = std::move(later);
  return erased;
}

std::vector<Failure> Table::failures() const {
  std::vector<Failure> all;
  for (const auto& [key, trouble] : troubles_)
    all.push_back({name_, key, trouble.owner, trouble.error, trouble.attempts, trouble.next});
  return all;
}

std::optional<Time> Table::next_retry() const {
  std::optional<Time> next;
  for (const auto& [key, trouble] : troubles_)
    if (!next || trouble.next < *next) next = trouble.next;
  return next;
}

}  // namespace carrick::reconcile
