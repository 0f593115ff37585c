#include "lab/programs/flags.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace carrick::lab {

Result<Flags> Flags::parse(const std::vector<std::string>& words, size_t from,
                           std::map<std::string, std::string> known) {
  Flags out;
  out.values_ = std::move(known);
  bool only_words = false;
  for (size_t i = from; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (only_words || !word.starts_with('-') || word == "-") {
      out.rest_.emplace_back(word);
      continue;
    }
    if (word == "--") {
      only_words = true;
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    const auto flag = out.values_.find(name);
    if (flag == out.values_.end()) return fail(ErrorKind::kInvalid, "unknown flag: --{}", name);
    const bool boolean = flag->second == "true" || flag->second == "false";
    if (equals != std::string_view::npos)
      flag->second = word.substr(equals + 1);
    else if (boolean)
      flag->second = "true";
    else if (++i < words.size())
      flag->second = words[i];
    else
      return fail(ErrorKind::kInvalid, "flag needs an argument: --{}", name);
  }
  return out;
}

int Flags::number(const std::string& name) const { return std::atoi(text(name).c_str()); }

std::chrono::milliseconds Flags::duration(const std::string& name) const {
  return parse_go_duration(text(name)).value_or(std::chrono::milliseconds(0));
}

Result<std::chrono::milliseconds> parse_go_duration(std::string_view text) {
  const std::string_view whole = text;
  double milliseconds = 0;
  while (!text.empty() && text != "0") {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || !std::isfinite(number))
      return fail(ErrorKind::kInvalid, "time: invalid duration {:?}", whole);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    bool known = false;
    for (const auto& [unit, factor] : {std::pair<std::string_view, double>{"ms", 1},
                                       {"us", 1e-3},
                                       {"ns", 1e-6},
                                       {"s", 1e3},
                                       {"m", 6e4},
                                       {"h", 3.6e6}}) {
      if (!text.starts_with(unit)) continue;
      milliseconds += number * factor;
      text.remove_prefix(unit.size());
      known = true;
      break;
    }
    if (!known) return fail(ErrorKind::kInvalid, "time: invalid duration {:?}", whole);
  }
  if (whole.empty() || milliseconds > 1e15) return fail(ErrorKind::kInvalid, "time: invalid duration {:?}", whole);
  return std::chrono::milliseconds(static_cast<int64_t>(milliseconds));
}

}  // namespace carrick::lab
