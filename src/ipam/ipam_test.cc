#include "ipam/ipam.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace carrick::ipam {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix cidr(const char* text) { return *net::Prefix::parse(text); }
using Addresses = std::vector<net::IpAddress>;

Pool pool_of(std::vector<net::Prefix> cidrs, std::string file = {}, std::string boot = "boot-1") {
  auto pool = Pool::open(std::move(file), std::move(boot));
  EXPECT_TRUE(pool) << pool.error().message;
  EXPECT_TRUE(pool->set_cidrs(std::move(cidrs)));
  return std::move(*pool);
}

class IpamFile : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "/carrick-ipam-XXXXXX";
    ASSERT_TRUE(mkdtemp(dir_.data()));
    file_ = dir_ + "/ipam.json";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_, file_;
};

TEST(Ipam, BothFamiliesAndReservedAddresses) {
  Pool pool = pool_of({cidr("10.1.0.0/29"), cidr("2001:db8:1::/64")});
  EXPECT_EQ(*pool.allocate("a"), (Addresses{ip("10.1.0.2"), ip("2001:db8:1::2")}));
  EXPECT_EQ(*pool.allocate("a"), (Addresses{ip("10.1.0.2"), ip("2001:db8:1::2")})) << "the same owner again";
  for (const char* owner : {"b", "c", "d", "e"}) ASSERT_TRUE(pool.allocate(owner));
  EXPECT_EQ(*pool.owner_of(ip("10.1.0.6")), "e");
  auto full = pool.allocate("f");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kTransient);
  EXPECT_FALSE(pool.can_allocate());
  EXPECT_EQ(pool.owner_of(ip("10.1.0.7")), nullptr) << "broadcast";
  EXPECT_EQ(pool.owner_of(ip("2001:db8:1::7")), nullptr) << "all or none";
  ASSERT_TRUE(pool.release("c"));
  EXPECT_EQ(pool.allocate("f")->front(), ip("10.1.0.4"));
}

TEST(Ipam, ReuseIsAsLateAsPossible) {
  Pool pool = pool_of({cidr("10.1.0.0/24")});
  std::set<net::IpAddress> seen;
  for (int i = 0; i < 253; ++i) {
    auto given = pool.allocate("x");
    ASSERT_TRUE(given);
    EXPECT_TRUE(seen.insert(given->front()).second) << given->front().str() << " came back after " << i;
    ASSERT_TRUE(pool.release("x"));
  }
  EXPECT_EQ(pool.allocate("x")->front(), ip("10.1.0.2"));
}

TEST(Ipam, RequestedAddresses) {
  Pool pool = pool_of({cidr("10.1.0.0/24"), cidr("2001:db8:1::/64")});
  EXPECT_EQ(*pool.allocate("a", {ip("10.1.0.77")}), (Addresses{ip("10.1.0.77"), ip("2001:db8:1::2")}));
  EXPECT_EQ(pool.allocate("b", {ip("10.1.0.77")}).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(pool.allocate("b", {ip("10.2.0.1")}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(pool.allocate("b", {ip("10.1.0.1")}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(pool.allocate("b", {ip("10.1.0.255")}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(pool.allocate("a", {ip("10.1.0.78")}).error().kind, ErrorKind::kConflict);
  EXPECT_EQ(pool.allocate("b")->front(), ip("10.1.0.2")) << "a requested address does not move the round robin";
  Pool four = pool_of({cidr("10.1.0.0/24")});
  EXPECT_EQ(four.allocate("a", {ip("2001:db8:1::9")}).error().kind, ErrorKind::kInvalid);
}

TEST(Ipam, NoCidrYetIsTransient) {
  Pool pool = *Pool::open("", "boot-1");
  EXPECT_EQ(pool.allocate("a").error().kind, ErrorKind::kTransient);
  EXPECT_FALSE(pool.can_allocate());
  EXPECT_FALSE(pool.set_cidrs({cidr("10.1.0.0/24"), cidr("10.2.0.0/24")}));
}

TEST(Ipam, TinyAndHugePrefixes) {
  Pool two = pool_of({cidr("10.1.0.0/31")});
  EXPECT_EQ(two.allocate("a")->front(), ip("10.1.0.0"));
  EXPECT_EQ(two.allocate("b")->front(), ip("10.1.0.1"));
  EXPECT_FALSE(two.allocate("c"));
  Pool huge = pool_of({cidr("2001:db8::/32")});
  EXPECT_EQ(huge.allocate("a")->front(), ip("2001:db8::2"));
}

TEST_F(IpamFile, StateOutlivesTheProcessButNotTheBoot) {
  {
    Pool pool = pool_of({cidr("10.1.0.0/24"), cidr("2001:db8:1::/64")}, file_);
    ASSERT_TRUE(pool.allocate("a"));
    ASSERT_TRUE(pool.allocate("b"));
    ASSERT_TRUE(pool.release("b"));
  }
  struct stat info{};
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  Pool again = pool_of({cidr("10.1.0.0/24"), cidr("2001:db8:1::/64")}, file_);
  EXPECT_EQ(*again.owner_of(ip("10.1.0.2")), "a");
  EXPECT_EQ(again.allocate("c")->front(), ip("10.1.0.4")) << "the place of the round robin is kept";
  Pool rebooted = pool_of({cidr("10.1.0.0/24")}, file_, "boot-2");
  EXPECT_EQ(rebooted.owners(), 0u);
}

TEST_F(IpamFile, ADamagedStateIsAnErrorNotAnEmptyPool) {
  std::ofstream(file_) << "{\"boot_id\": \"boot-1\", \"own";
  auto pool = Pool::open(file_, "boot-1");
  ASSERT_FALSE(pool);
  EXPECT_NE(pool.error().message.find(file_), std::string::npos);
}

TEST_F(IpamFile, AChangeThatCannotBeStoredDidNotHappen) {
  Pool pool = pool_of({cidr("10.1.0.0/24")}, dir_ + "/absent/ipam.json");
  EXPECT_FALSE(pool.allocate("a"));
  EXPECT_EQ(pool.owners(), 0u);
  EXPECT_EQ(pool.owner_of(ip("10.1.0.2")), nullptr);
}

TEST_F(IpamFile, ReconcileKeepsTheLivingAndAdoptsTheLost) {
  Pool pool = pool_of({cidr("10.1.0.0/24")}, file_);
  for (const char* owner : {"a", "b", "c"}) ASSERT_TRUE(pool.allocate(owner));
  EXPECT_EQ(*pool.keep_only({"b", "z"}), 2u);
  EXPECT_EQ(pool.owners(), 1u);
  EXPECT_TRUE(pool.adopt("z", {ip("10.1.0.9")}));
  EXPECT_TRUE(pool.adopt("z", {ip("10.1.0.9")}));
  EXPECT_FALSE(pool.adopt("y", {ip("10.1.0.9")}));
  EXPECT_EQ(*pool.owner_of(ip("10.1.0.9")), "z");
}

TEST_F(IpamFile, ThousandsOfPods) {
  Pool pool = pool_of({cidr("10.1.0.0/19"), cidr("2001:db8:1::/64")}, file_);
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(pool.allocate("0123456789abcdef0123456789abcdef-" + std::to_string(i)));
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("2000 allocations with state file: %.0f ms\n", ms);
  EXPECT_LT(ms, 30000);
}

}  // namespace
}  // namespace carrick::ipam
