#include "kernel/netlink.h"

namespace carrick::kernel {
namespace {

struct Describer {
  std::string route(const Route& r) const {
    std::string text = r.destination.str();
    if (r.via) text += fmt::format(" via {}", r.via->str());
    if (r.ifindex) text += fmt::format(" dev {}", r.ifindex);
    if (r.table != 254) text += fmt::format(" table {}", r.table);
    return text;
  }
  std::string operator()(const CreateVeth& c) const {
    return fmt::format("create veth {} <-> {}", c.here.name, c.there.name);
  }
  std::string operator()(const CreateVxlan& c) const { return fmt::format("create vxlan {} port {}", c.name, c.port); }
  std::string operator()(const SetLink& c) const { return fmt::format("set link {}", c.link.str()); }
  std::string operator()(const DeleteLink& c) const { return fmt::format("delete link {}", c.link.str()); }
  std::string operator()(const DeleteLinkGroup& c) const { return fmt::format("delete links of group {}", c.group); }
  std::string operator()(const AddAddress& c) const {
    return fmt::format("add address {}/{} dev {}", c.address.address.str(), c.address.length, c.address.ifindex);
  }
  std::string operator()(const RemoveAddress& c) const {
    return fmt::format("remove address {}/{} dev {}", c.address.address.str(), c.address.length, c.address.ifindex);
  }
  std::string operator()(const AddRoute& c) const { return "add route " + route(c.route); }
  std::string operator()(const RemoveRoute& c) const { return "remove route " + route(c.route); }
  std::string operator()(const AddNeighbor& c) const {
    return fmt::format("add neighbour {} dev {}", c.neighbor.address.str(), c.neighbor.ifindex);
  }
  std::string operator()(const RemoveNeighbor& c) const {
    return fmt::format("remove neighbour {} dev {}", c.neighbor.address.str(), c.neighbor.ifindex);
  }
};

}  // namespace

std::string describe(const Change& change) { return std::visit(Describer{}, change); }

std::string LinkRef::str() const { return ifindex ? fmt::format("{}", ifindex) : name; }

Result<uint32_t> Netlink::create_veth(const CreateVeth& veth) {
  TRY_VOID(apply({veth}));
  if (veth.here.ifindex) return veth.here.ifindex;
  return TRY(link(veth.here.name)).ifindex;
}

}  // namespace carrick::kernel
