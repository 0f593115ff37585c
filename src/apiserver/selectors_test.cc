#include "apiserver/selectors.h"

#include <gmock/gmock.h>

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

json::object labelled(std::initializer_list<std::pair<const char*, const char*>> labels) {
  json::object out;
  for (const auto& [key, value] : labels) out[key] = value;
  return {{"metadata", json::object{{"name", "x"}, {"labels", std::move(out)}}}};
}

bool matches(std::string_view selector, const json::object& document) {
  const auto query = LabelQuery::parse(selector);
  EXPECT_TRUE(query) << selector << ": " << query.error().message;
  return query && query->matches(document);
}

TEST(LabelQuery, Terms) {
  const json::object web = labelled({{"app", "web"}, {"tier", "front"}, {"n", "5"}});
  const json::object bare = labelled({});
  struct Case {
    const char* selector;
    bool web, bare;
  };
  for (const Case& c : std::initializer_list<Case>{{"", true, true},
                                                   {"app", true, false},
                                                   {"!app", false, true},
                                                   {"app=web", true, false},
                                                   {"app==web", true, false},
                                                   {"app!=web", false, true},
                                                   {"app!=db", true, true},
                                                   {"app in (web, db)", true, false},
                                                   {"app notin (web)", false, true},
                                                   {"app notin (db)", true, true},
                                                   {"app in (web),tier=back", false, false},
                                                   {"app=web,tier=front", true, false},
                                                   {" app = web , tier ", true, false},
                                                   {"n>4", true, false},
                                                   {"n>5", false, false},
                                                   {"n<6", true, false},
                                                   {"app>1", false, false},
                                                   {"app in ()", false, false},
                                                   {"x=", false, false},
                                                   {"inx=1", false, false},
                                                   {"example.com/app!=1", true, true}}) {
    EXPECT_EQ(matches(c.selector, web), c.web) << c.selector;
    EXPECT_EQ(matches(c.selector, bare), c.bare) << c.selector;
  }
}

TEST(LabelQuery, RefusesNonsense) {
  for (const char* selector : {"a in (b", "a in b", ",", "a,", "=x", "a=b=c", "a in (b))", "a>x", "a foo", "a b", "!!a",
                               "a=-x", "-a=b", "/a=b", "a/=b", "a in (b;c)"})
    EXPECT_FALSE(LabelQuery::parse(selector)) << selector;
}

TEST(FieldQuery, KnownFields) {
  const k8s::ResourceType& pods = *k8s::find_by_kind("v1", "Pod");
  const json::object pod =
      json::parse(
          R"({"metadata":{"name":"p","namespace":"n"},"spec":{"nodeName":"node-1"},"status":{"phase":"Running"}})")
          .as_object();
  const auto holds = [&](const char* text) {
    const auto query = FieldQuery::parse(pods, text);
    EXPECT_TRUE(query) << text;
    return query && query->matches(pod);
  };
  EXPECT_TRUE(holds("metadata.name=p"));
  EXPECT_TRUE(holds("metadata.name==p,metadata.namespace=n"));
  EXPECT_FALSE(holds("metadata.name!=p"));
  EXPECT_TRUE(holds("spec.nodeName=node-1,status.phase!=Pending"));
  EXPECT_TRUE(holds("spec.hostNetwork=false"));
  EXPECT_TRUE(holds("status.podIP="));
  EXPECT_TRUE(holds(""));
  const auto unknown = FieldQuery::parse(pods, "spec.foo=1");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "field label not supported: spec.foo");
  EXPECT_FALSE(FieldQuery::parse(pods, "metadata.name"));
  EXPECT_EQ(FieldQuery::parse(pods, "metadata.name=p")->name(), "p");
}

TEST(FieldQuery, Events) {
  const k8s::ResourceType& events = *k8s::find_by_kind("v1", "Event");
  const json::object event =
      json::parse(
          R"({"metadata":{"name":"e"},"involvedObject":{"name":"p","kind":"Pod"},"source":{"component":"kubelet"},"reason":"Started","type":"Normal"})")
          .as_object();
  EXPECT_TRUE(FieldQuery::parse(events, "involvedObject.name=p,involvedObject.kind=Pod,type!=Warning,source=kubelet")
                  ->matches(event));
  EXPECT_FALSE(FieldQuery::parse(events, "reason=Killing")->matches(event));
}

}  // namespace
}  // namespace carrick::apiserver
