#include <boost/json.hpp>

#include "tests/cluster/lab_fixture.h"

// What an agent says of itself.
namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

class ObserveTest : public LabTest {
 protected:
  void up() {
    Ended started =
        carrick(fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {}", name_, write_manifest(kTwoTiers)));
    ASSERT_EQ(started.code, 0) << started.err << started.out;
  }
  json::object status() const {
    return json::parse(carrick(fmt::format("status --lab {} -o json", name_)).out).at("nodes").at(0).as_object();
  }
};

TEST_F(ObserveTest, TheAgentKeepsOnlyWhatItNeeds) {
  up();
  const auto privileges = status().at("privileges").as_object();
  EXPECT_EQ(privileges.at("capabilities"), (json::array{"CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"}));
  EXPECT_TRUE(privileges.at("noNewPrivileges").as_bool());
}

}  // namespace
}  // namespace carrick::cluster_tests
