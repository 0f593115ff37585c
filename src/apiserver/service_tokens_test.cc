#include "apiserver/service_tokens.h"

#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "apiserver/pki.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

class TokenTest : public ApiTest {
 protected:
  TokenTest()
      : tokens_(*ServiceTokens::create(*make_signing_key())),
        with_(registry_, {.server_address = "x", .now = [this] { return now_; }, .tokens = tokens_.get()}) {
    must(call("POST", "/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"robot"}})"), 201);
    must(
        call(
            "POST", "/api/v1/namespaces/default/pods",
            R"({"metadata":{"name":"p"},"spec":{"serviceAccountName":"robot","containers":[{"name":"c","image":"x"}]}})"),
        201);
  }
  json::object ask(const std::string& spec, int code = 201) {
    return must(with_.handle({.method = "POST",
                              .target = *parse_target("/api/v1/namespaces/default/serviceaccounts/robot/token"),
                              .accept = "application/json",
                              .content_type = "application/json",
                              .body = R"({"spec":)" + spec + "}",
                              .user = user_}),
                code);
  }
  std::string token(const std::string& spec = "{}") { return std::string(text_at(ask(spec), "status.token")); }
  std::optional<User> user_of(std::string_view token) { return with_.user_of_token(token); }

  std::unique_ptr<ServiceTokens> tokens_;
  Api with_;
};

TEST_F(TokenTest, IsOfItsAccountUntilItsTime) {
  const json::object answer = ask(R"({"expirationSeconds":600})");
  EXPECT_EQ(text_at(answer, "status.expirationTimestamp"), "2023-11-14T22:23:20Z");
  const std::string mine(text_at(answer, "status.token"));
  const auto user = user_of(mine);
  ASSERT_TRUE(user);
  EXPECT_EQ(user->name, "system:serviceaccount:default:robot");
  EXPECT_THAT(user->groups,
              testing::ElementsAre("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"));
  now_ += 600;
  EXPECT_FALSE(user_of(mine));
  ask(R"({"expirationSeconds":599})", 422);
}

TEST_F(TokenTest, OtherBytesAreNobodys) {
  const std::string mine = token();
  const auto parts = split(mine, '.');
  const auto join = [](std::string_view a, std::string_view b, std::string_view c) {
    return fmt::format("{}.{}.{}", a, b, c);
  };
  EXPECT_TRUE(user_of(join(parts[0], parts[1], parts[2])));
  for (size_t at : {size_t{1}, parts[0].size() + 3, mine.size() - 10}) {
    std::string changed = mine;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(user_of(changed)) << at;
  }
  // A token of another server, and one that says it needs no signature.
  const auto other = *ServiceTokens::create(*make_signing_key());
  EXPECT_FALSE(user_of(other->sign(*tokens_->verified(mine))));
  EXPECT_FALSE(user_of(join("eyJhbGciOiJub25lIn0", parts[1], "")));
  for (const char* text : {"", ".", "..", "a.b.c", "x"}) EXPECT_FALSE(user_of(text));
}

TEST_F(TokenTest, IsForItsAudience) {
  const std::string theirs = token(R"({"audiences":["vault"]})");
  EXPECT_FALSE(user_of(theirs));
  EXPECT_TRUE(tokens_->user_of(*store_, theirs, now_, {"vault"}));
  EXPECT_FALSE(tokens_->user_of(*store_, theirs, now_, {"other"}));
}

TEST_F(TokenTest, GoesWithWhatItIsBoundTo) {
  ask(R"({"boundObjectRef":{"kind":"Pod","name":"none"}})", 404);
  ask(R"({"boundObjectRef":{"kind":"Pod","name":"p","uid":"other"}})", 409);
  const std::string bound = token(R"({"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p"}})"), loose = token();
  EXPECT_TRUE(user_of(bound));
  must(call("DELETE", "/api/v1/namespaces/default/pods/p"), 200);
  EXPECT_FALSE(user_of(bound));
  EXPECT_TRUE(user_of(loose));
  must(call("DELETE", "/api/v1/namespaces/default/serviceaccounts/robot"), 200);
  must(call("POST", "/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"robot"}})"), 201);
  EXPECT_FALSE(user_of(loose));  // another account of the same name
}

TEST_F(TokenTest, ReviewsAndKeysAreServed) {
  const std::string mine = token();
  const auto get = [&](std::string_view path) {
    return must(with_.handle({.method = "GET",
                              .target = *parse_target(path),
                              .accept = "",
                              .content_type = "",
                              .body = "",
                              .user = user_}),
                200);
  };
  EXPECT_EQ(text_at(get("/.well-known/openid-configuration"), "issuer"), ServiceTokens::kIssuer);
  EXPECT_EQ(get("/openid/v1/jwks").at("keys").as_array().size(), 1u);
  const auto review = [&](std::string_view text) {
    return must(with_.handle({.method = "POST",
                              .target = *parse_target("/apis/authentication.k8s.io/v1/tokenreviews"),
                              .accept = "application/json",
                              .content_type = "application/json",
                              .body = fmt::format(R"({{"spec":{{"token":"{}"}}}})", text),
                              .user = user_}),
                201);
  };
  EXPECT_EQ(text_at(review(mine), "status.user.username"), "system:serviceaccount:default:robot");
  EXPECT_FALSE(flag_at(review("x.y.z"), "status.authenticated"));
}

}  // namespace
}  // namespace carrick::apiserver
