#include "lab/pods/container_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace carrick::lab {
namespace {

constexpr Timestamp kNow{1'767'366'245, 5};

class ContainerLog : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "/container_log_test.log";
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

std::string shown(std::string_view log, const apiserver::LogOptions& options, size_t step = 7) {
  LogFilter filter(options, kNow);
  std::string out;
  for (size_t at = 0; at < log.size(); at += step) out += filter.take(log.substr(at, step));
  return out;
}

TEST_F(ContainerLog, WritesALineEach) {
  auto writer = LogWriter::open(path_).value();
  writer.write(false, "one\ntw", kNow);
  writer.write(true, "oops\n", kNow);
  writer.write(false, "o\nhalf", kNow);
  EXPECT_EQ(text(),
            "2026-01-02T15:04:05.000000005Z stdout F one\n2026-01-02T15:04:05.000000005Z stderr F oops\n"
            "2026-01-02T15:04:05.000000005Z stdout F two\n");
  writer.finish(kNow);
  EXPECT_EQ(shown(text(), {}), "one\noops\ntwo\nhalf");
}

// What a program wrote is what is shown, whatever its lines are.
TEST_F(ContainerLog, LongLinesAreJoinedAgain) {
  auto writer = LogWriter::open(path_).value();
  const std::string line = std::string(50'000, 'x') + "\n\n" + std::string(LogWriter::kMaxLine, 'y') + "\nz\n";
  for (size_t at = 0; at < line.size(); at += 4096) writer.write(false, line.substr(at, 4096), kNow);
  EXPECT_TRUE(shown(text(), {}, 1000) == line);
  const std::string tail = text().substr(tail_offset(text(), 2));
  EXPECT_EQ(shown(tail, {}, 1000), std::string(LogWriter::kMaxLine, 'y') + "\nz\n");
  EXPECT_EQ(shown(text().substr(tail_offset(text(), 4)), {}, 1000), line);
  EXPECT_EQ(tail_offset(text(), 100), 0u);
  EXPECT_EQ(tail_offset(text(), 0), text().size());
}

TEST_F(ContainerLog, Options) {
  const std::string log =
      "2026-01-02T15:04:00.1Z stdout F a\n2026-01-02T15:04:03.2Z stderr F b\n2026-01-02T15:04:05.3Z stdout F c\n";
  EXPECT_EQ(shown(log, {.timestamps = true}),
            "2026-01-02T15:04:00.1Z a\n2026-01-02T15:04:03.2Z b\n2026-01-02T15:04:05.3Z c\n");
  EXPECT_EQ(shown(log, {.since_seconds = 3}), "b\nc\n");
  EXPECT_EQ(shown(log, {.since_time = "2026-01-02T16:04:04+01:00"}), "c\n");
  EXPECT_EQ(shown(log, {.limit_bytes = 3}), "a\nb");
  EXPECT_EQ(shown("garbage\n" + log, {}), "a\nb\nc\n");
}

TEST_F(ContainerLog, AFullFileIsPutAside) {
  {
    std::ofstream out(path_);
    out << std::string(LogWriter::kMaxFile + 1, 'x');
  }
  auto writer = LogWriter::open(path_).value();
  writer.write(false, "new\n", kNow);
  EXPECT_EQ(shown(text(), {}), "new\n");
  EXPECT_TRUE(std::filesystem::remove(path_ + ".old"));
}

}  // namespace
}  // namespace carrick::lab
