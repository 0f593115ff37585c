#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace carrick {

// Prometheus' text format (version 0.0.4), one family after the other.
class MetricsPage {
 public:
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  void family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  // labels: `a="b",c="d"`, with values that need no escape, or empty.
  template <class T>
  void sample(std::string_view name, std::string_view labels, T value) {
    text_ += labels.empty() ? std::string(name) : fmt::format("{}{{{}}}", name, labels);
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
  }
  template <class T>
  void counter(std::string_view name, std::string_view help, T value) {
    family(name, "counter", help);
    sample(name, "", value);
  }
  template <class T>
  void gauge(std::string_view name, std::string_view help, T value) {
    family(name, "gauge", help);
    sample(name, "", value);
  }
  // Of a family that is there already. counts: of each bucket alone, one more than bounds (the last is +Inf).
  template <class Bounds, class Counts>
  void histogram(std::string_view name, const std::string& labels, const Bounds& bounds, const Counts& counts,
                 double sum) {
    const std::string separator = labels.empty() ? "" : ",";
    uint64_t total = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      total += counts[i];
      const std::string bound = i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf";
      sample(fmt::format("{}_bucket", name), fmt::format("{}{}le=\"{}\"", labels, separator, bound), total);
    }
    sample(fmt::format("{}_sum", name), labels, sum);
    sample(fmt::format("{}_count", name), labels, total);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace carrick
