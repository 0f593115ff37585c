#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "dns/message/message.h"

namespace carrick::dns {

struct Asker {
  net::SocketAddress address;
  bool tcp = false;
};

// What answers a question. Called on the transport's thread only; queries have one question and opcode QUERY.
class Responder {
 public:
  virtual ~Responder() = default;
  // The answer, when it can be given at once; nothing: answer_later will give it.
  virtual std::optional<Message> answer_now(const Message& query, const Asker& asker) = 0;
  // Nothing: stay silent.
  virtual boost::asio::awaitable<std::optional<Message>> answer_later(Message query, Asker asker) = 0;
};

// An answer to `query` without records: id, question, RD, CD, and OPT when the query had one.
Message reply_to(const Message& query);

// What no responder is asked for: unknown classes, EDNS versions and zone transfers (DNS-N7).
std::optional<Message> refuse(const Message& query);

}  // namespace carrick::dns
