#include "lab/programs/programs.h"

#include <gtest/gtest.h>

#include "lab/programs/flags.h"
#include "lab/programs/http.h"

namespace carrick::lab {
namespace {

TEST(Programs, ImagesAreKnownByTheirLastName) {
  EXPECT_EQ(image_name("registry.k8s.io/e2e-test-images/agnhost:2.43"), "agnhost");
  EXPECT_EQ(image_name("localhost:5000/pause"), "pause");
  EXPECT_EQ(image_name("agnhost@sha256:0123"), "agnhost");
  EXPECT_EQ(image_name(""), "");
  const LabConfig config{.name = "l"};
  EXPECT_FALSE(image_program(config, "nginx:1.2"));
  EXPECT_FALSE(image_program(config, "k8s.gcr.io/echoserver:1.4")) << "another program, on port 8080";
  EXPECT_TRUE(image_program(config, "registry.k8s.io/ingressconformance/echoserver:v0.0.1"));
  const auto agnhost = image_program(config, "registry.k8s.io/e2e-test-images/agnhost:2.43");
  ASSERT_TRUE(agnhost);
  EXPECT_EQ(agnhost->entrypoint, std::vector<std::string>{"/agnhost"});
  EXPECT_EQ(agnhost->default_args, std::vector<std::string>{"pause"});
  EXPECT_TRUE(agnhost->files.front().read_only);
  EXPECT_EQ(agnhost->files.front().target, "/agnhost");
  EXPECT_TRUE(built_in_program("/agnhost"));
  EXPECT_FALSE(built_in_program("bin/carrick"));
}

TEST(Programs, ImagesOfTheUserComeFirst) {
  const LabConfig config{.name = "l", .images = {{"shop/web", "/opt/web"}, {"agnhost", "/opt/other"}}};
  for (const char* image : {"shop/web", "shop/web:1.2", "shop/web@sha256:0123"}) {
    const auto web = image_program(config, image);
    ASSERT_TRUE(web) << image;
    EXPECT_EQ(web->entrypoint, std::vector<std::string>{"/opt/web"});
    EXPECT_EQ(web->files.front().target, "/opt/web");
  }
  EXPECT_EQ(image_program(config, "k8s.io/agnhost:2")->entrypoint, std::vector<std::string>{"/opt/other"});
  EXPECT_FALSE(image_program(config, "web"));
  EXPECT_FALSE(image_program(config, "other/web"));
}

TEST(Programs, FlagsAreGos) {
  const std::vector<std::string> words = {"agnhost", "connect", "--timeout=1m2.5s", "h:1", "--tcp", "--port", "7",
                                          "--",      "--x"};
  auto flags = Flags::parse(words, 2, {{"timeout", "0"}, {"tcp", "false"}, {"port", "1"}});
  ASSERT_TRUE(flags) << flags.error().message;
  EXPECT_EQ(flags->duration("timeout"), std::chrono::milliseconds(62500));
  EXPECT_TRUE(flags->is("tcp"));
  EXPECT_EQ(flags->number("port"), 7);
  EXPECT_EQ(flags->rest(), (std::vector<std::string>{"h:1", "--x"}));
  EXPECT_EQ(Flags::parse({"a", "--no"}, 1, {}).error().message, "unknown flag: --no");
  EXPECT_EQ(Flags::parse({"a", "--port"}, 1, {{"port", "1"}}).error().message, "flag needs an argument: --port");
  for (const char* bad : {"", "1", "x", "1y", "-1s"}) EXPECT_FALSE(parse_go_duration(bad)) << bad;
  EXPECT_EQ(*parse_go_duration("0"), std::chrono::milliseconds(0));
}

TEST(Programs, RequestsAreRead) {
  auto asked = parse_http_head("GET /echo?msg=a%20b+c&code=404&flag&x=a;b HTTP/1.1\r\nHost: x\r\nX-A:  b \r\n\r\n");
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(asked->path, "/echo");
  EXPECT_EQ(asked->query, (std::map<std::string, std::string>{{"msg", "a b c"}, {"code", "404"}, {"flag", ""}}));
  EXPECT_EQ(asked->header("x-a"), "b");
  for (const char* bad : {"", "GET", "GET / HTTP/2\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
                          "GET / HTTP/1.1\r\nno header\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n"})
    EXPECT_FALSE(parse_http_head(bad)) << bad;
  EXPECT_EQ(percent_decode("%41%zz%4", false), "A%zz%4");
}

}  // namespace
}  // namespace carrick::lab
