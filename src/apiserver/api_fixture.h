#pragma once

#include <gtest/gtest.h>

#include "apiserver/api.h"

// For tests: an API over a store in memory, at a time that stands still, without a socket.
namespace carrick::apiserver {

class ApiTest : public testing::Test {
 protected:
  ApiTest()
      : store_(*Store::open("")),
        registry_(*store_,
                  {.service_ranges = {.cidrs = {*net::Prefix::parse("10.96.0.0/16")}}, .now = [this] { return now_; }}),
        api_(registry_, {.server_address = "127.0.0.1:1", .now = [this] { return now_; }}) {
    must(call("POST", "/api/v1/namespaces", R"({"metadata":{"name":"default"}})"), 201);
  }

  User user_{"tester", {"system:masters"}};

  Response call(const std::string& method, std::string_view path, std::string body = "",
                std::string content_type = "application/json", std::string accept = "application/json") {
    Request request{.method = method,
                    .target = *parse_target(path),
                    .accept = std::move(accept),
                    .content_type = std::move(content_type),
                    .body = std::move(body),
                    .user = user_};
    return api_.handle(request);
  }
  static json::object must(const Response& response, int code) {
    EXPECT_EQ(response.code, code) << response.body;
    boost::system::error_code error;
    const json::value value = json::parse(response.body, error);
    EXPECT_FALSE(error) << response.body;
    return value.is_object() ? value.get_object() : json::object{};
  }
  void make_map(const std::string& name, const std::string& labels = "{}") {
    must(call("POST", "/api/v1/namespaces/default/configmaps",
              fmt::format(R"({{"metadata":{{"name":"{}","labels":{}}}}})", name, labels)),
         201);
  }
  static std::vector<std::string> names(const json::object& list) {
    std::vector<std::string> out;
    for (const json::value& item : list.at("items").as_array())
      out.emplace_back(text_at(item.as_object(), "metadata.name"));
    return out;
  }
  static std::vector<json::object> lines(WatchStream& stream) {
    std::vector<json::object> out;
    std::string text = stream.take(1u << 20);
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
      out.push_back(json::parse(text.substr(at, end - at)).as_object());
    return out;
  }
  static std::vector<std::string> summary(WatchStream& stream) {
    std::vector<std::string> out;
    for (const json::object& line : lines(stream))
      out.push_back(fmt::format("{} {}", text_at(line, "type"), text_at(line, "object.metadata.name")));
    return out;
  }

  int64_t now_ = 1'700'000'000;
  std::unique_ptr<Store> store_;
  Registry registry_;
  Api api_;
};

}  // namespace carrick::apiserver
