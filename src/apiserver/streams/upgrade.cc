#include "apiserver/streams/upgrade.h"

#include <algorithm>

#include "apiserver/streams/websocket.h"

namespace carrick::apiserver {
namespace {

struct Subprotocol {
  std::string_view name;
  int version;
  bool base64 = false;
};
// In the order of our preference; the last is for clients that name none.
constexpr Subprotocol kWebSocketExec[] = {
    {"v5.channel.k8s.io", 5}, {"v4.channel.k8s.io", 4},           {"v4.base64.channel.k8s.io", 4, true},
    {"channel.k8s.io", 1},    {"base64.channel.k8s.io", 1, true}, {"", 1}};
constexpr Subprotocol kSpdyExec[] = {
    {"v4.channel.k8s.io", 4}, {"v3.channel.k8s.io", 3}, {"v2.channel.k8s.io", 2}, {"channel.k8s.io", 1}, {"", 1}};
constexpr Subprotocol kWebSocketForward[] = {
    {"SPDY/3.1+portforward.k8s.io", 0}, {"v4.channel.k8s.io", 4}, {"v4.base64.channel.k8s.io", 4, true}, {"", 4}};
constexpr Subprotocol kSpdyForward[] = {{"portforward.k8s.io", 1}, {"", 1}};

template <size_t N>
const Subprotocol* choose(const Subprotocol (&known)[N], const std::vector<std::string>& offered) {
  for (const Subprotocol& protocol : known)
    if (protocol.name.empty() ? offered.empty() : std::ranges::find(offered, protocol.name) != offered.end())
      return &protocol;
  return nullptr;
}

using Headers = std::vector<std::pair<std::string, std::string>>;

StatusOr<Headers> websocket_headers(const UpgradeOffer& offer, const Subprotocol* chosen) {
  if (offer.websocket_version != "13")
    return std::unexpected(bad_request("Sec-WebSocket-Version: this server speaks version 13 only"));
  if (offer.websocket_key.size() != 24)
    return std::unexpected(bad_request("Sec-WebSocket-Key: must be 16 bytes in base64"));
  if (!chosen)
    return std::unexpected(
        bad_request("Sec-WebSocket-Protocol: this server speaks none of the protocols that are offered"));
  Headers headers{{"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", websocket_accept(offer.websocket_key)}};
  if (!chosen->name.empty()) headers.emplace_back("Sec-WebSocket-Protocol", chosen->name);
  return headers;
}

StatusOr<Headers> spdy_headers(const Subprotocol* chosen) {
  if (!chosen)
    return std::unexpected(
        Status{.code = 403,
               .reason = "Forbidden",
               .message = "unable to upgrade: this server speaks none of the protocols of X-Stream-Protocol-Version"});
  Headers headers{{"Upgrade", "SPDY/3.1"}};
  if (!chosen->name.empty()) headers.emplace_back("X-Stream-Protocol-Version", chosen->name);
  return headers;
}

Status upgrade_required() {
  return bad_request("Upgrade request required: this path speaks WebSocket (RFC 6455) or SPDY/3.1");
}

}  // namespace

StatusOr<Upgraded<ExecDialect>> upgrade_exec(const UpgradeOffer& offer, const ExecStreams& streams) {
  const bool websocket = offer.protocol == "websocket";
  if (!websocket && offer.protocol != "spdy/3.1") return std::unexpected(upgrade_required());
  const Subprotocol* chosen =
      websocket ? choose(kWebSocketExec, offer.subprotocols) : choose(kSpdyExec, offer.subprotocols);
  auto headers = websocket ? websocket_headers(offer, chosen) : spdy_headers(chosen);
  if (!headers) return std::unexpected(headers.error());
  return Upgraded<ExecDialect>{std::move(*headers), websocket ? websocket_exec(chosen->version, chosen->base64, streams)
                                                              : spdy_exec(chosen->version, streams)};
}

StatusOr<Upgraded<ForwardDialect>> upgrade_forward(const UpgradeOffer& offer, const std::vector<uint16_t>& ports) {
  const bool websocket = offer.protocol == "websocket";
  if (!websocket && offer.protocol != "spdy/3.1") return std::unexpected(upgrade_required());
  const Subprotocol* chosen =
      websocket ? choose(kWebSocketForward, offer.subprotocols) : choose(kSpdyForward, offer.subprotocols);
  auto headers = websocket ? websocket_headers(offer, chosen) : spdy_headers(chosen);
  if (!headers) return std::unexpected(headers.error());
  const bool channels = websocket && chosen->version == 4;
  if (channels && ports.empty()) return std::unexpected(bad_request("query parameter \"ports\" is required"));
  return Upgraded<ForwardDialect>{std::move(*headers), channels    ? websocket_forward(chosen->base64, ports)
                                                       : websocket ? tunnelled_forward()
                                                                   : spdy_forward()};
}

}  // namespace carrick::apiserver
