#include "cni/plumb.h"

#include <gtest/gtest.h>

#include <chrono>

#include "kernel/fake_network.h"
#include "kernel/netns.h"

namespace carrick::cni {
namespace {

using namespace kernel;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

PodPlumbRequest request(std::string id) {
  return {.id = std::move(id),
          .netns = "/pod",
          .addresses = {ip("10.1.0.7"), ip("2001:db8:1::7")},
          .mtu = 1450,
          .attach = {}};
}

TEST(Plumb, HostLinkNameIsStableAndFits) {
  EXPECT_EQ(host_link_name("abc"), host_link_name("abc"));
  EXPECT_NE(host_link_name("abc"), host_link_name("abd"));
  EXPECT_EQ(host_link_name("abc").size(), 15u);
  EXPECT_EQ(host_link_name("abc").substr(0, 2), "cr");
}

TEST(Plumb, AttachComesBeforeAnyEndIsUp) {
  FakeNetwork network;
  auto pod_space = network.add_netns("/pod");
  auto plumber = *Plumber::open(network);
  auto r = request("c1");
  uint32_t attached = 0;
  r.attach = [&](uint32_t ifindex) -> Result<void> {
    attached = ifindex;
    EXPECT_FALSE(network.own()->links.at(ifindex).up);
    EXPECT_FALSE(pod_space->find("eth0")->up);
    return {};
  };
  auto pod = plumber.plumb(r);
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(attached, pod->ifindex);
  EXPECT_TRUE(pod_space->find("eth0")->up);
  EXPECT_EQ(pod_space->find("eth0")->mtu, 1450u);
  EXPECT_EQ(network.own()->sysctls["net/ipv6/conf/" + pod->host_link + "/accept_ra"], "0");
  EXPECT_TRUE(plumber.check(*pod, "/pod", "eth0"));
}

// Every single step fails once; nothing of the pod may be left, on either side.
TEST(Plumb, AFailureAtAnyStepLeavesNothing) {
  for (int failing = 0;; ++failing) {
    FakeNetwork network;
    auto pod_space = network.add_netns("/pod");
    auto plumber = *Plumber::open(network);
    int step = 0;
    bool failed = false;
    network.fault = [&](const std::string& what) -> std::optional<Error> {
      if (what.starts_with("delete link")) return std::nullopt;
      if (step++ != failing) return std::nullopt;
      failed = true;
      return Error{ErrorKind::kInternal, "injected"};
    };
    auto r = request("c1");
    r.attach = [&](uint32_t) { return network.ask_fault("attach"); };
    auto pod = plumber.plumb(r);
    if (!failed) {
      ASSERT_TRUE(pod);
      EXPECT_GT(failing, 10) << "the loop went through every step";
      break;
    }
    EXPECT_FALSE(pod) << "step " << failing;
    EXPECT_EQ(network.own()->links.size(), 1u) << "step " << failing;
    EXPECT_EQ(pod_space->links.size(), 1u) << "step " << failing;
    EXPECT_TRUE(network.own()->routes.empty() && network.own()->neighbors.empty());
  }
}

TEST(Plumb, ATakenNameIsAnErrorAndATakenNumberIsNot) {
  FakeNetwork network;
  network.add_netns("/pod");
  auto plumber = *Plumber::open(network);
  network.own()->links[1u << 16] = {.ifindex = 1u << 16, .name = "other"};
  ASSERT_TRUE(plumber.plumb(request("c1")));
  auto second = plumber.plumb(request("c2"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kAlreadyExists);
  EXPECT_EQ(second.error().message, "/pod has a link eth0 already");
  auto no_netns = request("c3");
  no_netns.netns = "/absent";
  EXPECT_EQ(plumber.plumb(no_netns).error().kind, ErrorKind::kNotFound);
}

TEST(Plumb, CheckSeesEveryLoss) {
  FakeNetwork network;
  auto pod_space = network.add_netns("/pod");
  auto plumber = *Plumber::open(network);
  auto pod = *plumber.plumb(request("c1"));
  auto broken = [&](auto&& breaking) {
    FakeNamespace kept = *pod_space, kept_own = *network.own();
    breaking();
    bool bad = !plumber.check(pod, "/pod", "eth0");
    *pod_space = kept, *network.own() = kept_own;
    return bad && plumber.check(pod, "/pod", "eth0").has_value();
  };
  EXPECT_TRUE(
      broken([&] { std::erase_if(pod_space->addresses, [](auto& a) { return a.address == ip("10.1.0.7"); }); }));
  EXPECT_TRUE(broken([&] { pod_space->routes.pop_back(); }));
  EXPECT_TRUE(broken([&] { network.own()->routes.clear(); }));
  EXPECT_TRUE(broken([&] { network.own()->links.at(pod.ifindex).up = false; }));
  EXPECT_TRUE(broken([&] {
    for (auto& [n, link] : pod_space->links) link.mac = {};
  }));
}

// The real kernel, in a namespace that stands for the node.
class PlumbLinux : public testing::Test {
 protected:
  void SetUp() override {
    auto node = create_anonymous_netns();
    if (!node) GTEST_SKIP() << "needs root: " << node.error().message;
    node_ = std::move(*node);
    scope_.emplace(std::move(*NetnsScope::enter(node_.get())));
    dir_ = testing::TempDir() + "/carrick-plumb-XXXXXX";
    ASSERT_TRUE(mkdtemp(dir_.data()));
  }
  void TearDown() override {
    for (auto& path : paths_) (void)delete_netns(path);
    rmdir(dir_.c_str());
  }
  std::string pod_netns(int i) {
    paths_.push_back(dir_ + "/pod" + std::to_string(i));
    EXPECT_TRUE(create_netns(paths_.back()));
    return paths_.back();
  }
  std::string dir_;
  std::vector<std::string> paths_;
  Fd node_;
  std::optional<NetnsScope> scope_;
};

TEST_F(PlumbLinux, APodIsWiredAndCheckedAndRemoved) {
  ASSERT_TRUE(prepare_node(linux_network()));
  auto plumber = *Plumber::open(linux_network());
  auto r = request("c1");
  r.netns = pod_netns(0);
  auto pod = plumber.plumb(r);
  ASSERT_TRUE(pod) << pod.error().message;
  auto checked = plumber.check(*pod, r.netns, "eth0");
  EXPECT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(*read_sysctl(-1, "net/ipv4/conf/" + pod->host_link + "/rp_filter"), "0");
  EXPECT_EQ(*read_sysctl(-1, "net/ipv6/conf/" + pod->host_link + "/accept_ra"), "0");
  auto netns = *open_netns(r.netns);
  auto inside = std::move(*open_netlink(netns.get()));
  EXPECT_EQ(inside->route_to(ip("203.0.113.1"))->prefsrc, ip("10.1.0.7"));
  EXPECT_EQ(inside->route_to(ip("2001:db8:203::1"))->prefsrc, ip("2001:db8:1::7"));
  EXPECT_EQ(plumber.host_links()->size(), 1u);
  ASSERT_TRUE(remove_host_links(linux_network(), {pod->host_link, "crabsent"}));
  EXPECT_FALSE(inside->link("eth0"));
  EXPECT_TRUE(plumber.host_links()->empty());
}

TEST_F(PlumbLinux, PlumbingIsFast) {
  auto plumber = *Plumber::open(linux_network());
  std::vector<double> times;
  std::vector<std::string> links;
  for (int i = 0; i < 100; ++i) {
    PodPlumbRequest r{.id = "c" + std::to_string(i), .netns = pod_netns(i), .attach = {}};
    r.addresses = {net::IpAddress::v4(0x0a010002 + static_cast<uint32_t>(i)),
                   ip("2001:db8:1::2").plus(static_cast<uint64_t>(i))};
    auto begin = std::chrono::steady_clock::now();
    auto pod = plumber.plumb(r);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    ASSERT_TRUE(pod) << pod.error().message;
    links.push_back(pod->host_link);
  }
  std::ranges::sort(times);
  RecordProperty("p50_us", static_cast<int>(times[50] * 1000));
  RecordProperty("p99_us", static_cast<int>(times[98] * 1000));
  std::printf("plumbing: p50 %.2f ms, p99 %.2f ms\n", times[50], times[98]);
  EXPECT_LT(times[50], 50.0) << "ten times the limit of bench/: no noise of a busy machine";
  auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(remove_host_links(linux_network(), links));
  std::printf("removing 100: %.1f ms\n",
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
}

}  // namespace
}  // namespace carrick::cni
