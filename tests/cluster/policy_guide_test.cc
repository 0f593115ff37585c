#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "explain/policy.h"

// The commands of docs/guide/policy.md are run, and what they print is what the guide says.
namespace carrick::testing {
namespace {

struct Command {
  std::string line, output;
  int at = 0;
};

std::vector<Command> commands_in(const std::string& guide) {
  std::vector<Command> out;
  bool inside = false;
  int number = 0;
  for (std::string_view line : split(guide, '\n')) {
    ++number;
    if (line.starts_with("```")) {
      inside = line == "```console";
    } else if (inside && line.starts_with("$ ")) {
      out.push_back({std::string(line.substr(2)), "", number});
    } else if (inside && !out.empty()) {
      out.back().output += std::string(line) + "\n";
    }
  }
  return out;
}

std::string run(const std::string& line) {
  const std::string command = fmt::format("cd '{}' && export PATH='{}':\"$PATH\" && {{ {}; }} 2>/dev/null",
                                          CARRICK_SOURCE_DIR, CARRICK_BIN_DIR, line);
  std::string out;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "cannot be run";
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
  pclose(pipe);
  return out;
}

TEST(PolicyGuide, CommandsPrintWhatTheGuideSays) {
  if (!std::filesystem::exists(std::string(CARRICK_SOURCE_DIR) + "/../shared/corpora"))
    GTEST_SKIP() << "no corpora beside the source tree";
  const auto guide = read_file(std::string(CARRICK_SOURCE_DIR) + "/docs/guide/policy.md");
  ASSERT_TRUE(guide) << guide.error().message;
  const auto commands = commands_in(*guide);
  ASSERT_GE(commands.size(), 4u);
  for (const auto& one : commands)
    EXPECT_EQ(run(one.line), one.output) << "docs/guide/policy.md:" << one.at << ": " << one.line;
}

TEST(PolicyGuide, TableOfFindingsIsThatOfTheCode) {
  const auto guide = read_file(std::string(CARRICK_SOURCE_DIR) + "/docs/guide/policy.md");
  ASSERT_TRUE(guide) << guide.error().message;
  for (const auto& [rule, text] : explain::lint_rules())
    EXPECT_NE(guide->find(fmt::format("| `{}` | {} |", rule, text)), std::string::npos) << rule;
}

}  // namespace
}  // namespace carrick::testing
