#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <cstring>
#include <set>

#include "dataplane.skel.h"

namespace carrick::kernel {
namespace {

// Ids of helpers that the object's code calls, whatever program or function they are in.
std::set<int32_t> helpers_called() {
  size_t size = 0;
  const auto* bytes = static_cast<const char*>(dataplane::elf_bytes(&size));
  std::set<int32_t> out;
  Elf64_Ehdr header;
  std::memcpy(&header, bytes, sizeof header);
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, bytes + header.e_shoff + static_cast<size_t>(i) * sizeof section, sizeof section);
    if (section.sh_type != SHT_PROGBITS || !(section.sh_flags & SHF_EXECINSTR)) continue;
    for (size_t at = 0; at + sizeof(bpf_insn) <= section.sh_size; at += sizeof(bpf_insn)) {
      bpf_insn one;
      std::memcpy(&one, bytes + section.sh_offset + at, sizeof one);
      if (one.code == (BPF_JMP | BPF_CALL) && one.src_reg == 0) out.insert(one.imm);
    }
  }
  return out;
}

// Affinity, flows, NAT ports and fragments end by a clock that nobody can set: a jump of the machine's time moves none.
TEST(Clocks, ProgramsLookAtNoneThatCanJump) {
  const auto called = helpers_called();
  EXPECT_TRUE(called.contains(BPF_FUNC_map_lookup_elem)) << "the object was not understood";
  EXPECT_TRUE(called.contains(BPF_FUNC_jiffies64) || called.contains(BPF_FUNC_ktime_get_ns)) << "flows have a clock";
  EXPECT_TRUE(called.contains(BPF_FUNC_ktime_get_coarse_ns)) << "affinity's: CLOCK_MONOTONIC_COARSE";
  EXPECT_FALSE(called.contains(BPF_FUNC_ktime_get_tai_ns)) << "the machine's time of day, by a constant";
}

}  // namespace
}  // namespace carrick::kernel
