#include <gtest/gtest.h>

#include "base/mailbox.h"
#include "base/result.h"
#include "base/text.h"

namespace carrick {
namespace {

TEST(Text, SplitKeepsEmptyParts) { EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"})); }

TEST(Text, TableAlignsColumnsAndLeavesNoTrailingBlanks) {
  TextTable table({"NAME", "AGE"});
  table.add({"frontend", "3s"});
  EXPECT_EQ(table.str(), "NAME       AGE\nfrontend   3s\n");
}

TEST(Mailbox, NewestValueWinsAndWakesOnce) {
  int wakes = 0;
  Mailbox<int> mailbox([&] { ++wakes; });
  mailbox.put(std::make_shared<int>(1));
  mailbox.put(std::make_shared<int>(2));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(*mailbox.take(), 2);
  EXPECT_EQ(mailbox.take(), nullptr);
}

TEST(Result, ContextIsPutInFront) {
  Result<int> failed = with_context(Error{ErrorKind::kNotFound, "no such link"}, "pod {}", "a");
  EXPECT_EQ(failed.error().message, "pod a: no such link");
  EXPECT_EQ(failed.error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace carrick
