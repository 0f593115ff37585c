#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "watch/client.h"

namespace carrick::watch {
namespace {

std::string write_temporary(const std::string& text) {
  std::string path = testing::TempDir() + "kubeconfig-" + std::to_string(getpid());
  std::ofstream(path) << text;
  return path;
}

constexpr const char* kGood = R"(apiVersion: v1
kind: Config
current-context: lab
contexts:
- {name: lab, context: {cluster: c, user: u}}
clusters:
- name: c
  cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}
users:
- name: u
  user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}
)";

TEST(Kubeconfig, TakesTheCurrentContextWithInlineData) {
  auto credentials = load_kubeconfig(write_temporary(kGood));
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->servers, std::vector<std::string>{"https://127.0.0.1:6443"});
  EXPECT_EQ(credentials->ca_pem, "ca");
  EXPECT_EQ(credentials->cert_pem, "cert");
  EXPECT_EQ(credentials->key_pem, "key");
}

TEST(Kubeconfig, ErrorsNameTheFile) {
  auto missing = load_kubeconfig("/does/not/exist");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/does/not/exist"), std::string::npos);
  std::string path = write_temporary("current-context: other\n");
  auto no_context = load_kubeconfig(path);
  ASSERT_FALSE(no_context);
  EXPECT_EQ(no_context.error().message, path + ": current-context names no context");
}

}  // namespace
}  // namespace carrick::watch
