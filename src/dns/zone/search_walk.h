#pragma once

#include <optional>
#include <vector>

#include "dns/resolv_conf.h"
#include "dns/zone/zone.h"

namespace carrick::dns {

// The names that the resolver of `asker` tries after `asked`, in order, where that is the first name of a walk through
// its search path. Empty: it is not, or nobody knows who asks (a hostNetwork pod, a process of the node). What kubelet
// writes into the pod's resolv.conf is known from its object; `node`: the node's own, whose search path pods inherit.
std::vector<Name> names_tried_next(const desired::NameTable& table, const ResolvConf& node, const Name& asked,
                                   const net::IpAddress& asker);

// Goes through those names for one question, until one exists (DNS-F4). Asks nobody itself.
class SearchWalk {
 public:
  SearchWalk(const Zone& zone, const Question& question, std::vector<Name> names)
      : zone_(zone), question_(question), names_(std::move(names)) {}

  enum class State {
    kFound,  // answer() stands, with upstream() behind it where an upstream was asked for it
    kAsk,    // an upstream must be asked for asking() and said what it told
    kEnd     // none of the names exists, or that cannot be known: the first question's answer stands
  };
  State advance();
  const Name& asking() const { return *asking_; }
  void told(Message upstream);

  Answer& answer() { return answer_; }
  const Message* upstream() const { return upstream_ ? &*upstream_ : nullptr; }

 private:
  void found(const Name& name, Answer answer);

  const Zone& zone_;
  const Question& question_;
  std::vector<Name> names_;
  size_t next_ = 0;
  State state_ = State::kAsk;
  std::optional<Name> asking_;
  bool chasing_ = false;
  Answer answer_;
  std::optional<Message> upstream_;
};

}  // namespace carrick::dns
