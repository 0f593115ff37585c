#include <array>

#include "kernel/programs.h"

namespace carrick::kernel {
namespace {

constexpr std::array<std::string_view, DROP_COUNT> kWords = {"none",
#define X(name, word, sentence) word,
                                                             WIRE_DROP_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, DROP_COUNT> kSentences = {"not dropped",
#define X(name, word, sentence) sentence,
                                                                 WIRE_DROP_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, HOOK_COUNT> kHooks = HOOK_WORDS;

}  // namespace

std::string_view drop_word(uint8_t reason) { return reason < kWords.size() ? kWords[reason] : "unknown"; }
std::string_view drop_sentence(uint8_t reason) {
  return reason < kSentences.size() ? kSentences[reason] : "a reason this version does not know";
}
std::string_view hook_word(uint8_t hook) { return hook < kHooks.size() ? kHooks[hook] : "unknown"; }

}  // namespace carrick::kernel
