#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "k8s/core.h"
#include "k8s/networking.h"
#include "k8s/objects.h"

namespace carrick::k8s {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string message(std::string_view text, std::string_view file = "f.yaml") {
  const auto objects = parse_manifest(text, file);
  if (objects) return "";
  EXPECT_EQ(objects.error().kind, ErrorKind::kInvalid);
  return objects.error().message;
}

// The `data` of a document without a type, where any value is allowed.
std::string values(std::string_view data) {
  const auto objects = parse_manifest("apiVersion: x/v1\nkind: X\ndata:\n" + std::string(data), "f.yaml");
  if (!objects) return objects.error().message;
  return json::serialize(objects->at(0).document.at("data"));
}

struct Folder {
  fs::path path = fs::temp_directory_path() / ("carrick_manifest_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
    return path / name;
  }
};

constexpr std::string_view kPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";

// The expected values were printed by k8s.io/apimachinery's NewYAMLOrJSONDecoder (0.33), which kubectl uses.
TEST(Manifest, ValuesAreThoseOfKubectl) {
  const std::pair<const char*, const char*> cases[] = {
      {"  a: yes", R"({"a":true})"},
      {"  a: off", R"({"a":false})"},
      {"  a: \"on\"", R"({"a":"on"})"},
      {"  a: 0644", R"({"a":420})"},
      {"  a: 08", R"({"a":8})"},
      {"  a: 0o17", R"({"a":15})"},
      {"  a: 0x1F", R"({"a":31})"},
      {"  a: -0x10", R"({"a":-16})"},
      {"  a: 0b11", R"({"a":3})"},
      {"  a: 1_000", R"({"a":1000})"},
      {"  a: +1", R"({"a":1})"},
      {"  a: 1:30", R"({"a":"1:30"})"},
      {"  a: 2001-01-01", R"({"a":"2001-01-01"})"},
      {"  a: .5", R"({"a":5E-1})"},
      {"  a: 1e3", R"({"a":1000})"},
      {"  a: 1_0.5_0", R"({"a":1.05E1})"},
      {"  a: ~", R"({"a":null})"},
      {"  a:", R"({"a":null})"},
      {"  a: 0b", R"({"a":"0b"})"},
      {"  a: 1.2.3", R"({"a":"1.2.3"})"},
      {"  a: _1", R"({"a":"_1"})"},
      {"  a: =", R"({"a":"="})"},
      {"  a: 1.0", R"({"a":1})"},
      {"  a: !!str 12", R"({"a":"12"})"},
      {"  a: !foo 12", R"({"a":"12"})"},
      {"  a: !!bool \"yes\"", R"({"a":true})"},
      {"  on: x", R"({"true":"x"})"},
      {"  y: x", R"({"true":"x"})"},
      {"  8080: x", R"({"8080":"x"})"},
      {"  12.50: x", R"({"12.5":"x"})"},
      {"  a: 12345678901234567890", R"({"a":12345678901234567890})"},
      {"  a: |\n   x\n   y\n", R"({"a":"x\ny\n"})"},
      {"  a: |\n  b: 1\n", R"({"a":"","b":1})"},
      {"  a: >-\n  b: 1\n", R"({"a":"","b":1})"},
      {"  - |\n  - x\n", R"(["","x"])"},
      {"  a: >-\n    x\n      y\n    z\n", R"({"a":"x\n  y\nz"})"},
      {"  a: .inf", "f.yaml:4:6: .inf is no JSON number"},
      {"  ~: 1", "f.yaml:4:3: a key must be text"},
      {"  [1]: 1", "f.yaml:4:3: a key must be text"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(values(text), expected) << text;
}

TEST(Manifest, AnchorsAndMerges) {
  EXPECT_EQ(
      values("  x: &x {a: 2, b: 3}\n  v: {a: 1, <<: *x}\n  z: {<<: *x, a: 1}\n  w:\n    <<: [*x, {c: 4, a: 7}]\n"),
      R"({"x":{"a":2,"b":3},"v":{"a":2,"b":3},"z":{"a":1,"b":3},"w":{"c":4,"a":2,"b":3}})");
  EXPECT_EQ(values("  a: &a 1\n  b: &a 2\n  c: *a"), R"({"a":1,"b":2,"c":2})");  // the latest anchor of a name
  EXPECT_EQ(values("  a: {\"<<\": 1}"), R"({"a":{"<<":1}})");
  EXPECT_EQ(values("  a: *b"), "f.yaml:4:6: unknown anchor 'b'");
  EXPECT_EQ(values("  a: &a [*a]"), "f.yaml:4:10: anchor 'a' contains itself");
  EXPECT_EQ(values("  a: {<<: 1}"), "f.yaml:4:7: << needs a map or a list of maps");
  // Anchors end with their document.
  EXPECT_EQ(message("apiVersion: v1\nkind: X\na: &x 1\n---\napiVersion: v1\nkind: X\na: *x\n"),
            "f.yaml:7:4: unknown anchor 'x'");
}

TEST(Manifest, BombsEndInASentence) {
  std::string bomb = "  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("  a{0}: &a{0} [", i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("{}*a{}", j ? "," : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(values(bomb), HasSubstr("more than 2000000 values, with what aliases stand for"));
  EXPECT_THAT(values("  a: " + std::string(5000, '[')), HasSubstr("nested deeper than 100 levels"));
}

TEST(Manifest, SyntaxErrorsHaveAPlace) {
  EXPECT_EQ(message("a:\n\tb: 1\n"), "f.yaml:2:1: found character that cannot start any token");
  EXPECT_THAT(message("a: [1,\n"), testing::StartsWith("f.yaml:2:"));
  EXPECT_THAT(message("{\"a\": }x"), testing::StartsWith("f.yaml:1:"));
  EXPECT_EQ(message("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: key \"a\" is already set at line 1");
}

TEST(Manifest, DocumentsThatAreNoObjects) {
  EXPECT_EQ(message("hello"), "f.yaml:1:1: an object with apiVersion and kind is needed here, not \"hello\"");
  EXPECT_EQ(message("- a"), "f.yaml:1:1: an object with apiVersion and kind is needed here, not a list");
  EXPECT_EQ(message("\n\nkind: Pod\n"), "f.yaml:3:1: apiVersion is missing: every object needs apiVersion and kind");
  EXPECT_EQ(message("kind: 1\napiVersion: v1\n"), "f.yaml:1:1: kind: must be text");
  EXPECT_EQ(message("kind: Pod\napiVersion: v1\n"),
            "f.yaml:1:1: metadata.name: Required value: name or generateName is required");
  EXPECT_EQ(message("kind: Pod\napiVersion: v1\nmetadata: 5\n"),
            "f.yaml:3:1: metadata: must be an object, not a number 5");
  EXPECT_EQ(message("kind: List\napiVersion: v1\nitems: [1]\n"),
            "f.yaml:3:9: an object with apiVersion and kind is needed here, not 1");
  EXPECT_EQ(message("x", "-"), "standard input:1:1: an object with apiVersion and kind is needed here, not \"x\"");
}

TEST(Manifest, WrongTypesNameFieldAndLine) {
  EXPECT_EQ(message("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    app: x\n    live: on\n"),
            "f.yaml:7:5: metadata.labels.live: must be a string, not a boolean true");
  EXPECT_EQ(
      message("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 80\n  - port: http\n"),
      "f.yaml:7:5: spec.ports[1].port: must be an integer, not a string \"http\"");
  EXPECT_EQ(message("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  on: \"x\"\n  mode: 0644\n"),
            "f.yaml:6:3: data.mode: must be a string, not a number 420");
  EXPECT_EQ(message("apiVersion: x/v1\nkind: X\nmetadata:\n  name: 5\n"),
            "f.yaml:4:3: metadata.name: must be a string, not a number 5");
}

TEST(Manifest, NoiseBetweenDocuments) {
  const auto objects = parse_manifest(
      "\xEF\xBB\xBF# intro\r\n---\r\n---\r\napiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: a\r\n...\r\n---\r\n# "
      "nothing\r\n"
      "---\r\nkind: ConfigMap\r\napiVersion: v1\r\nmetadata: {name: b, namespace: x}\r\ndata:\r\n  t: |\r\n    one\r\n "
      "   two\r\n---\r\n",
      "f.yaml");
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 2u);
  EXPECT_EQ((*objects)[0].key.str(), "default/a");
  EXPECT_EQ((*objects)[0].document.at("metadata").at("namespace"), "default");
  EXPECT_EQ((*objects)[0].line, 4);
  EXPECT_EQ((*objects)[1].key.str(), "x/b");
  EXPECT_EQ((*objects)[1].line, 12);
  EXPECT_EQ((*objects)[1].document.at("data").at("t"), "one\ntwo\n");
  EXPECT_TRUE(parse_manifest("", "f")->empty());
  EXPECT_TRUE(parse_manifest("---\n---\n", "f")->empty());
}

TEST(Manifest, Lines) {
  const auto objects = parse_manifest(
      "# policies\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\nspec:\n  "
      "podSelector: {}\n"
      "  ingress:\n  - from:\n    - podSelector: {}\n    - ipBlock: {cidr: 10.0.0.0/8}\n  - ports:\n    - port: 80\n",
      "f.yaml");
  ASSERT_TRUE(objects) << objects.error().message;
  const ManifestObject& object = objects->at(0);
  EXPECT_EQ(object.type, &resource<NetworkPolicy>());
  EXPECT_EQ(object.line, 3);
  EXPECT_EQ(object.lines.at("spec.ingress[0].from[1]"), 12);
  EXPECT_EQ(object.lines.at("spec.ingress[1]"), 13);
  EXPECT_EQ(line_of(object, "spec.ingress[1].ports[0].protocol"), 14);
  EXPECT_EQ(line_of(object, "status"), 3);
}

TEST(Manifest, Lists) {
  const auto objects = parse_manifest(
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n- apiVersion: v1\n  "
      "kind: PodList\n"
      "  items:\n  - metadata:\n      name: b\n- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, "
      "metadata: {name: c, namespace: d}}\n",
      "f.yaml");
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 3u);
  EXPECT_EQ((*objects)[1].kind, "Pod");
  EXPECT_EQ((*objects)[1].document.at("kind"), "Pod");
  EXPECT_EQ((*objects)[1].lines.at("metadata.name"), 11);
  EXPECT_EQ((*objects)[2].key.str(), "c");  // cluster-scoped: the namespace is dropped, as the API server does
  EXPECT_TRUE(parse_manifest("apiVersion: v1\nkind: List\nitems:\n", "f")->empty());
}

TEST(Manifest, Json) {
  const auto objects = parse_manifest(
      "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}\n\n"
      "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\"},\n\"data\":{\"on\":"
      "\"\\ud83d\\ude00\"}}",
      "f.json");
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 2u);
  EXPECT_EQ((*objects)[1].document.at("data").at("on"), "\xF0\x9F\x98\x80");
  EXPECT_EQ((*objects)[1].line, 3);
  EXPECT_EQ((*objects)[1].lines.at("data"), 4);
}

TEST(Manifest, KindsWithoutUse) {
  const auto objects = parse_manifest(
      "apiVersion: example.com/v1\nkind: Widget\nspec: {x: 1}\n---\napiVersion: v1\nkind: Config\n", "f");
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ((*objects)[0].type, nullptr);
  EXPECT_EQ((*objects)[0].kind, "Widget");
}

TEST(Manifest, SameNameTwice) {
  const std::string pod(kPod);
  EXPECT_EQ(message(pod + "spec: {}\n---\n" + pod), "f.yaml:6:1: Pod default/a is already defined at f.yaml:1");
  EXPECT_EQ(parse_manifest(pod + "---\n" + pod, "f")->size(), 1u);
  EXPECT_EQ(message(pod + "---\n" + pod + "  # same\nspec: {}\n---\n" + pod),
            "f.yaml:5:1: Pod default/a is already defined at f.yaml:1");
  const auto joined = parse_manifest(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: one}}\n---\n"
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {k: two}, annotations: {z: three}}\n",
      "f");
  ASSERT_TRUE(joined) << joined.error().message;
  ASSERT_EQ(joined->size(), 1u);
  EXPECT_EQ(json::serialize(joined->at(0).document.at("metadata")),
            R"({"name":"a","labels":{"x":"one","k":"two"},"annotations":{"z":"three"}})");
}

TEST(Manifest, TextThatIsNone) {
  EXPECT_EQ(message(std::string("a: \x00\x01", 5)), "f.yaml:1:4: not a text file in UTF-8 (byte 0x00)");
  EXPECT_EQ(message("a: b\nc: \xC3\x28"), "f.yaml:2:4: not a text file in UTF-8 (byte 0xc3)");
  EXPECT_EQ(message("\x7F"
                    "ELF\x02"),
            "f.yaml:1:1: not a text file in UTF-8 (byte 0x7f)");
  EXPECT_EQ(message("\xFF\xFE"
                    "a\0"),
            "f.yaml:1:1: the file is UTF-16; save it as UTF-8");
  EXPECT_EQ(message(std::string(50u << 20, 'a')), "f.yaml: larger than 32 MiB, the limit of a manifest file");
}

TEST(Manifest, FilesAndFolders) {
  const Folder folder;
  folder.write("b/x.yml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n");
  folder.write("a.yaml", kPod);
  folder.write("c.json", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}})");
  folder.write("README.md", "not a manifest: [");
  const auto objects = load_manifests({folder.path});
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 3u);
  EXPECT_EQ((*objects)[0].key.name, "a");
  EXPECT_EQ((*objects)[1].key.name, "x");
  EXPECT_EQ((*objects)[1].file, folder.path / "b/x.yml");

  const std::string other = folder.write("d/a.yaml", std::string(kPod) + "spec: {hostNetwork: true}\n");
  const auto twice = load_manifests({folder.path});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message,
            other + ":1:1: Pod default/a is already defined at " + (folder.path / "a.yaml").string() + ":1");

  EXPECT_EQ(load_manifests({"/nonexistent.yaml"}).error().message, "/nonexistent.yaml: No such file or directory");
  fs::create_directories(folder.path / "empty");
  EXPECT_THAT(load_manifests({folder.path / "empty"}).error().message,
              HasSubstr("no *.yaml, *.yml or *.json file in this folder"));
  const std::string big = folder.write("big.bin", "");
  fs::resize_file(big, 50u << 20);
  EXPECT_EQ(load_manifests({big}).error().message, big + ": larger than 32 MiB, the limit of a manifest file");
}

TEST(Manifest, RealApplications) {
  const fs::path corpora = fs::path(CARRICK_SOURCE_DIR) / "../shared/corpora";
  if (!fs::exists(corpora)) GTEST_SKIP() << "no real manifests at " << corpora;
  const std::map<std::string, size_t> services{{"online-boutique", 12}, {"sock-shop", 14}, {"bookinfo", 4}};
  for (const auto& [name, count] : services) {
    const auto objects = load_manifests({corpora / name});
    ASSERT_TRUE(objects) << objects.error().message;
    EXPECT_EQ(std::ranges::count(*objects, std::string("Service"), &ManifestObject::kind), static_cast<long>(count))
        << name;
  }
}

}  // namespace
}  // namespace carrick::k8s
