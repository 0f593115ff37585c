#include "lab/responder/conversation.h"

#include <gtest/gtest.h>

namespace carrick::lab {
namespace {

const ResponderIdentity kWho{"shop", "cart-1", "node2"};

TEST(Conversation, ProbeQuestionGetsTheIdentityLineAlone) {
  Conversation talk(kWho, 80, "10.1.1.2:4000");
  std::string out;
  EXPECT_TRUE(talk.feed("CARRICK?\n", out));
  EXPECT_EQ(out, "shop/cart-1 80 10.1.1.2:4000\n");
}

TEST(Conversation, ProbeQuestionMayComeInPieces) {
  Conversation talk(kWho, 80, "c");
  std::string out;
  EXPECT_TRUE(talk.feed("CARR", out));
  EXPECT_EQ(out, "");
  EXPECT_TRUE(talk.feed("ICK?\n", out));
  EXPECT_EQ(out, "shop/cart-1 80 c\n");
}

TEST(Conversation, HttpRequestsAreAnsweredOneByOneOnOneConnection) {
  Conversation talk(kWho, 8080, "[2001:db8::1]:4000");
  std::string out;
  EXPECT_TRUE(talk.feed("GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel", out));
  EXPECT_TRUE(talk.feed("loGET /c HTTP/1.1\r\nConnection: close\r\n", out));
  EXPECT_EQ(out.find("/c"), std::string::npos);
  EXPECT_FALSE(talk.feed("\r\n", out));
  for (const char* part :
       {"\"path\":\"/a\"", "\"path\":\"/b\"", "\"path\":\"/c\"", "\"pod\":\"cart-1\"", "\"namespace\":\"shop\"",
        "\"node\":\"node2\"", "\"port\":8080", "\"client\":\"[2001:db8::1]:4000\"", "HTTP/1.1 200 OK"})
    EXPECT_NE(out.find(part), std::string::npos) << part;
  EXPECT_EQ(out.find("hello"), std::string::npos);
}

TEST(Conversation, HeadHasNoBodyAndHttp10Closes) {
  Conversation talk(kWho, 80, "c");
  std::string out;
  EXPECT_FALSE(talk.feed("HEAD / HTTP/1.0\r\n\r\n", out));
  EXPECT_TRUE(out.ends_with("\r\n\r\n")) << out;
}

TEST(Conversation, OtherBytesComeBackAfterTheIdentityLine) {
  Conversation talk(kWho, 6379, "c");
  std::string out;
  EXPECT_TRUE(talk.feed("*1\r\n", out));
  EXPECT_TRUE(talk.feed("PING", out));
  EXPECT_EQ(out, "shop/cart-1 6379 c\n*1\r\nPING");
}

TEST(Conversation, AnEndlessRequestHeadIsRefused) {
  Conversation talk(kWho, 80, "c");
  std::string out;
  ASSERT_TRUE(talk.feed("GET / HTTP/1.1\r\n", out));
  bool open = true;
  for (int i = 0; i < 100 && open; ++i) open = talk.feed("X-Filler: " + std::string(1000, 'a') + "\r\n", out);
  EXPECT_FALSE(open);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 431")) << out;
}

}  // namespace
}  // namespace carrick::lab
