#include "dns/zone/search_walk.h"

#include "base/text.h"

namespace carrick::dns {
namespace {

PodDns dns_of(const desired::NameTable& table, const std::string& namespace_, const net::IpAddress& asker) {
  PodDns out{.namespace_ = namespace_};
  auto special = table.resolvers.find(asker);
  if (special == table.resolvers.end()) return out;
  out.policy = special->second.policy;
  out.nameservers = special->second.nameservers;
  out.searches = special->second.searches;
  if (!special->second.ndots.empty()) out.options.emplace_back("ndots", special->second.ndots);
  return out;
}

}  // namespace

std::vector<Name> names_tried_next(const desired::NameTable& table, const ResolvConf& node, const Name& asked,
                                   const net::IpAddress& asker) {
  auto pod = table.pods.find(asker);
  if (pod == table.pods.end()) return {};
  auto conf = pod_resolv_conf(dns_of(table, pod->second, asker), table.dns_service, table.zone, node);
  if (!conf || conf->conf.searches.empty()) return {};
  const std::string text = lower(asked.text()), first = "." + lower(conf->conf.searches.front());
  if (!text.ends_with(first) || text.size() == first.size()) return {};
  const auto candidates = search_candidates(conf->conf, std::string_view(text).substr(0, text.size() - first.size()));
  if (candidates.front() != text + ".") return {};  // as it is came first: enough dots
  std::vector<Name> out;
  for (size_t i = 1; i < candidates.size(); ++i)
    if (auto name = Name::parse(candidates[i])) out.push_back(std::move(*name));
  return out;
}

// A CNAME leads from the question to what exists, as CoreDNS has it: the resolver takes it and walks no further.
void SearchWalk::found(const Name& name, Answer answer) {
  answer_ = std::move(answer);
  answer_.outside = false;
  answer_.answer.insert(answer_.answer.begin(), {question_.name, kCname, zone_.table().ttl, name_data(name)});
}

SearchWalk::State SearchWalk::advance() {
  while (state_ == State::kAsk && !asking_) {
    if (next_ == names_.size()) return state_ = State::kEnd;
    const Name& name = names_[next_++];
    Answer answer = zone_.resolve({name, question_.type, question_.klass});
    if (answer.outside) {
      asking_ = name;
    } else if (answer.rcode == kNxDomain) {
      continue;
    } else if (answer.rcode != kNoError) {
      state_ = State::kEnd;
    } else if (answer.chase) {
      asking_ = *answer.chase;
      chasing_ = true;
      found(name, std::move(answer));
    } else {
      found(name, std::move(answer));
      state_ = State::kFound;
    }
  }
  return state_;
}

void SearchWalk::told(Message upstream) {
  const Name name = *std::exchange(asking_, std::nullopt);
  if (!chasing_ && upstream.rcode == kNxDomain) return;
  if (!chasing_ && upstream.rcode != kNoError) {
    state_ = State::kEnd;
    return;
  }
  if (!chasing_) found(name, {});
  upstream_ = std::move(upstream);
  state_ = State::kFound;
}

}  // namespace carrick::dns
