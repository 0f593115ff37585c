#include "cni/pages.h"

#include <gtest/gtest.h>

namespace carrick::cni {
namespace {

TEST(Pages, APathHasItsPageAndOthersNone) {
  Pages pages;
  pages.put("/metrics", "text/plain", [] { return std::string("a 1\n"); });
  EXPECT_EQ(pages.answer("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n");
  EXPECT_TRUE(pages.answer("GET /metrics?x=1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
  for (const char* head : {"GET / HTTP/1.1\r\n\r\n", "GET /metrics/ HTTP/1.1\r\n\r\n", "GET \r\n\r\n", "GET", ""})
    EXPECT_TRUE(pages.answer(head).starts_with("HTTP/1.1 404 Not Found\r\n")) << head;
}

}  // namespace
}  // namespace carrick::cni
