#pragma once

#include "kernel/netlink.h"
#include "kernel/netlink_message.h"

namespace carrick::kernel {

void encode(MessageBuffer& out, uint32_t sequence, const Change& change);

}  // namespace carrick::kernel
