#include "reconcile/reconcile.h"

#include <algorithm>
#include <unordered_set>

namespace carrick::reconcile {
namespace {

constexpr size_t kCrowd = 1000;  // rows that wait

}  // namespace

Result<void> Table::read_back() {
  auto rows = store_.read();
  if (!rows) return with_context(rows.error(), "table {}", name_);
  shadow_.clear();
  for (const auto& row : *rows) shadow_.put(row.key, row.value);
  puts_.clear();
  removals_.clear();
  troubles_.clear();
  return {};
}

void Table::want(Row row) {
  const uint32_t there = shadow_.find(row.key);
  if (there == Shadow::kNone || shadow_.value(there) != row.value) puts_.push_back(std::move(row));
}

void Table::desire(std::vector<Row> rows, bool prune) {
  puts_.clear();
  removals_.clear();
  puts_.reserve(shadow_.size() == 0 ? rows.size() : 0);
  std::vector<bool> wanted(shadow_.size());
  for (auto& row : rows) {
    if (const uint32_t there = shadow_.find(row.key); there != Shadow::kNone) wanted[there] = true;
    want(std::move(row));
  }
  if (prune)
    for (uint32_t there = 0; there < wanted.size(); ++there)
      if (!wanted[there]) removals_.emplace_back(shadow_.key(there));
  forget_healed_troubles();
}

void Table::adjust(std::vector<Row> rows, const std::vector<std::string>& gone, bool prune) {
  if (!settled()) {
    std::unordered_set<std::string_view> named(gone.begin(), gone.end());
    for (const auto& row : rows) named.insert(row.key);
    std::erase_if(puts_, [&](const Row& row) { return named.contains(row.key); });
    std::erase_if(removals_, [&](const std::string& key) { return named.contains(key); });
  }
  for (auto& row : rows) want(std::move(row));
  if (prune)
    for (const auto& key : gone)
      if (shadow_.find(key) != Shadow::kNone) removals_.push_back(key);
  forget_healed_troubles();
}

// Only rows that are still wanted and still wrong keep their back-off.
void Table::forget_healed_troubles() {
  if (troubles_.empty()) return;
  std::unordered_set<std::string_view> pending(removals_.begin(), removals_.end());
  for (const auto& row : puts_) pending.insert(row.key);
  std::erase_if(troubles_, [&](const auto& each) { return !pending.contains(each.first); });
}

bool Table::due(const std::string& key, Time now) const {
  const auto trouble = troubles_.find(key);
  return trouble == troubles_.end() || trouble->second.next <= now;
}

// A look costs as much as rows wait. When very many do, for a full map, they are looked at together and seldom: each at
// a moment of its own, they would keep a processor busy.
void Table::failed(const std::string& key, const SharedText& owner, Error error, Time now) {
  auto& trouble = troubles_[key];
  trouble.owner = owner;
  trouble.error = std::move(error);
  const auto delay = options_.first_delay * (uint64_t{1} << std::min(trouble.attempts, 20u));
  trouble.next = now + std::min<std::chrono::milliseconds>(delay, options_.longest_delay);
  if (troubles_.size() > kCrowd) {
    const Time::duration pace = options_.longest_delay / 3;
    trouble.next += pace - trouble.next.time_since_epoch() % pace;
  }
  ++trouble.attempts;
}

// Where one row failed the next often does too (a full map): a whole batch is not made ready for each of them.
size_t Table::next_size(size_t size, const Store::Outcome& outcome) const {
  return outcome.error ? 1 : std::min(size * 2, options_.batch);
}

size_t Table::write(Time now) {
  std::vector<Row> tries, later;
  const bool all = troubles_.empty() && !held_ && !refused_;
  if (all) tries.swap(puts_);
  for (auto& row : puts_) {
    bool ready = due(row.key, now) && !(held_ && held_(row));
    if (ready && refused_)
      if (auto error = refused_(row)) {
        failed(row.key, row.owner, std::move(*error), now);
        ready = false;
      }
    (ready ? tries : later).push_back(std::move(row));
  }
  size_t written = 0, size = options_.batch;
  for (size_t at = 0; at < tries.size();) {
    const auto batch = std::span(tries).subspan(at, std::min(size, tries.size() - at));
    auto outcome = store_.write(batch);
    size = next_size(size, outcome);
    for (size_t i = 0; i < outcome.done; ++i) {
      if (!troubles_.empty()) troubles_.erase(batch[i].key);
      shadow_.put(batch[i].key, batch[i].value);
    }
    written += outcome.done;
    at += outcome.done;
    if (!outcome.error) continue;
    auto& bad = tries[at];
    failed(bad.key, bad.owner, std::move(*outcome.error), now);
    later.push_back(std::move(bad));
    ++at;
  }
  puts_ = std::move(later);
  return written;
}

size_t Table::erase(Time now) {
  std::vector<std::string> tries, later;
  for (auto& key : removals_) (due(key, now) && !(kept_ && kept_(key)) ? tries : later).push_back(std::move(key));
  size_t erased = 0, size = options_.batch;
  for (size_t at = 0; at < tries.size();) {
    const auto batch = std::span(tries).subspan(at, std::min(size, tries.size() - at));
    auto outcome = store_.erase(batch);
    size = next_size(size, outcome);
    for (size_t i = 0; i < outcome.done; ++i) {
      if (!troubles_.empty()) troubles_.erase(batch[i]);
      shadow_.erase(batch[i]);
    }
    erased += outcome.done;
    at += outcome.done;
    if (!outcome.error) continue;
    failed(tries[at], "", std::move(*outcome.error), now);
    later.push_back(std::move(tries[at]));
    ++at;
  }
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
