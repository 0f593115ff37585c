#include "k8s/protobuf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/encoding.h"
#include "k8s/protobuf_message.h"
#include "k8s/protobuf_wire.h"
#include "k8s/test_documents.h"

namespace carrick::k8s {
namespace {

json::array upstream_cases() {
  std::ifstream in(CARRICK_SOURCE_DIR "/src/k8s/testdata/protobuf.json");
  return json::parse(std::string(std::istreambuf_iterator<char>(in), {})).as_array();
}

// Random objects of every kind, written by k8s.io/api (tools/api_fields/protobuf_cases).
TEST(Protobuf, ReadsWhatTheUpstreamLibraryWrites) {
  const json::array cases = upstream_cases();
  ASSERT_GT(cases.size(), 100u);
  for (const json::value& c : cases) {
    const std::string bytes = from_base64(c.at("protobuf").as_string()).value();
    const json::value wanted = without_nulls(c.at("json"));
    const auto read = decode_protobuf(bytes);
    ASSERT_TRUE(read) << read.error().message << "\n" << json::serialize(wanted);
    EXPECT_TRUE(*read == wanted) << json::serialize(*read) << "\n" << json::serialize(wanted);
  }
}

TEST(Protobuf, ReadsWhatItWrites) {
  for (const json::value& c : upstream_cases()) {
    const json::value wanted = without_nulls(c.at("json"));
    const auto written = encode_protobuf(wanted.as_object());
    ASSERT_TRUE(written) << written.error().message;
    const auto read = decode_protobuf(*written);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(*read == wanted) << json::serialize(*read) << "\n" << json::serialize(wanted);
  }
}

// Every prefix of a message is refused or read, and never runs past its end.
TEST(Protobuf, CutOffAnywhere) {
  const json::array cases = upstream_cases();
  const std::string bytes = from_base64(cases.front().at("protobuf").as_string()).value();
  size_t refused = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    refused += !decode_protobuf(std::string_view(part.data(), part.size()));
  }
  EXPECT_GT(refused, bytes.size() / 2);
}

std::string pod_message(std::string_view metadata) {
  WireWriter pod;
  pod.bytes(1, metadata);
  return pod.take();
}
std::string shown(std::string_view message) {
  const auto read = decode_message(*fields_of("v1", "Pod"), message);
  return read ? json::serialize(*read) : "error: " + read.error().message;
}

TEST(Protobuf, RepeatedAndUnknownFields) {
  WireWriter first, second, entry;
  entry.bytes(1, "app");
  entry.bytes(2, "web");
  first.bytes(1, "a");
  first.bytes(11, entry.take());
  first.bytes(999, "of a newer version");
  second.bytes(1, "b");  // the last one counts
  second.bytes(13, "");  // an owner with nothing in it
  EXPECT_EQ(shown(pod_message(first.take()) + pod_message(second.take())),
            R"({"metadata":{"name":"b","labels":{"app":"web"},"ownerReferences":[{}]}})");
}

TEST(Protobuf, PackedNumbers) {
  WireWriter context;
  context.bytes(4, std::string("\x01\xac\x02", 3));  // supplementalGroups
  WireWriter spec, pod;
  spec.bytes(14, context.take());
  pod.bytes(2, spec.take());
  EXPECT_EQ(shown(pod.take()), R"({"spec":{"securityContext":{"supplementalGroups":[1,300]}}})");
}

TEST(Protobuf, RefusesWithTheFieldsName) {
  WireWriter number, text, time;
  number.varint(1, 5);
  EXPECT_EQ(shown(pod_message(number.take())), "error: metadata: name: field 1: must be a string");
  text.bytes(1, "\xff");
  EXPECT_EQ(shown(pod_message(text.take())), "error: metadata: name: must be text in UTF-8");
  WireWriter at;
  at.varint(1, uint64_t{1} << 60);
  time.bytes(8, at.take());
  EXPECT_EQ(shown(pod_message(time.take())),
            "error: metadata: creationTimestamp: must be a time between the years 0 and 9999");
  EXPECT_EQ(shown("\x0b"), "error: field 1 of the message has the unknown wire type 3");
  EXPECT_EQ(shown(std::string_view("\x00\x00", 2)), "error: the message has a field without number");
  EXPECT_EQ(shown("\x0a\x05x"), "error: the message ends in the middle of a field");
  EXPECT_EQ(shown("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            "error: a number of the message is longer than 64 bits");
}

TEST(Protobuf, Envelope) {
  const auto message = [](std::string_view bytes) {
    const auto read = decode_protobuf(bytes);
    return read ? json::serialize(*read) : read.error().message;
  };
  EXPECT_EQ(message("{}"), "the body does not begin with the four bytes of Kubernetes protobuf, \"k8s\\0\"");
  EXPECT_EQ(message(std::string_view("k8s\0", 4)), "no kind \"\" is registered for version \"\"");
  WireWriter type, unknown;
  type.bytes(1, "apps/v1");
  type.bytes(2, "DeleteOptions");
  unknown.bytes(1, type.take());
  WireWriter options;
  options.varint(1, 0);
  options.bytes(4, "Background");
  unknown.bytes(2, options.take());
  EXPECT_EQ(
      message(std::string("k8s\0", 4) + unknown.take()),
      R"({"apiVersion":"apps/v1","kind":"DeleteOptions","gracePeriodSeconds":0,"propagationPolicy":"Background"})");
}

TEST(Protobuf, ListsAndEvents) {
  const json::object list = json::parse(R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},
                      "items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]})")
                                .as_object();
  const auto written = encode_protobuf(list);
  ASSERT_TRUE(written);
  EXPECT_NE(written->find("PodList"), std::string::npos);
  const auto event = encode_protobuf_event("ADDED", json::parse(R"({"kind":"Pod","apiVersion":"v1"})").as_object());
  ASSERT_TRUE(event);
  EXPECT_EQ(event->substr(0, 3), std::string(3, '\0'));
  EXPECT_EQ(static_cast<uint8_t>((*event)[3]), event->size() - 4);
  EXPECT_EQ(event->substr(4, 7),
            "\x0a\x05"
            "ADDED");
  EXPECT_FALSE(encode_protobuf(json::parse(R"({"kind":"Table","apiVersion":"meta.k8s.io/v1"})").as_object()));
}

TEST(Protobuf, DepthIsBounded) {
  const ObjectFields* schema_fields = fields_of("apiextensions.k8s.io/v1", "CustomResourceDefinition");
  for (const char* step : {"spec", "versions", "schema", "openAPIV3Schema"})
    schema_fields = schema_fields->find(step)->object;
  const auto within = std::ranges::find(schema_fields->members, "not", &Member::name);
  std::string schema;
  for (int i = 0; i < 1000; ++i) {
    WireWriter level;
    level.bytes(within->number, schema);
    schema = level.take();
  }
  const auto read = decode_message(*schema_fields, schema);
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().message.ends_with("the message is nested deeper than 128 levels")) << read.error().message;
}

}  // namespace
}  // namespace carrick::k8s
