#include <boost/json.hpp>

#include "base/text.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/watch.h"

// What becomes of the containers of a pod: in which order, with what, and what the API says of them.
namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

class PodLifeTest : public LabTest {
 protected:
  void start(const std::string& manifest, int expected = 0, int timeout = 60) {
    const Ended up =
        carrick(fmt::format("lab up --name {} --nodes 1 --timeout {} -f {}", name_, timeout, write_manifest(manifest)));
    ASSERT_EQ(up.code, expected) << up.err;
    auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
    ASSERT_TRUE(credentials);
    credentials_ = *credentials;
  }
  Result<watch::HttpResponse> ask(const std::string& method, const std::string& path, const std::string& body = "") {
    return watch::request_once(credentials_, {method, "/api/v1/namespaces/default/" + path, body, "application/json"});
  }
  json::value status(const std::string& pod) {
    auto answer = ask("GET", "pods/" + pod);
    return answer ? json::parse(answer->body).at("status") : json::value(json::object{});
  }
  // Until the status, as text, has all of these in it.
  bool comes_to(const std::string& pod, const std::vector<std::string>& texts) {
    const bool came = eventually([&] {
      const std::string now = json::serialize(status(pod));
      return std::ranges::all_of(texts, [&](const std::string& text) { return now.find(text) != std::string::npos; });
    });
    if (!came) ADD_FAILURE() << pod << " is " << json::serialize(status(pod));
    return came;
  }
  std::string in(const std::string& pod, const std::string& script) {
    const Ended ended = carrick(
        fmt::format("lab exec --name {} default/{} -- sh -c \"$(cat {})\"", name_, pod, write_manifest(script)));
    return ended.out + ended.err;
  }
  std::string logs(const std::string& pod, const std::string& options = "") {
    auto answer = ask("GET", fmt::format("pods/{}/log?{}", pod, options));
    return answer ? answer->body : answer.error().message;
  }
  watch::Credentials credentials_;
};

TEST_F(PodLifeTest, ContainersGetWhatTheirManifestSays) {
  ASSERT_NO_FATAL_FAILURE(start(R"yaml(
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, "app.conf": "mode=fast\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: word}
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: web}}
spec:
  hostname: uno
  securityContext: {fsGroup: 1234}
  containers:
  - name: main
    image: x
    command: [sh, -c, "echo $(GREETING); exec sleep 86400"]
    envFrom: [{configMapRef: {name: settings}, prefix: S_}]
    env:
    - {name: GREETING, value: "hello $(S_colour)"}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: keys, key: password}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    resources: {limits: {memory: 64Mi}}
    volumeMounts:
    - {name: settings, mountPath: /etc/settings}
    - {name: settings, mountPath: /single/app.conf, subPath: app.conf}
    - {name: keys, mountPath: /keys}
    - {name: scratch, mountPath: /scratch}
    - {name: about, mountPath: /about}
  - name: other
    image: x
    command: [sleep, "86400"]
    securityContext: {runAsUser: 1000, runAsGroup: 1000, readOnlyRootFilesystem: true}
    volumeMounts: [{name: scratch, mountPath: /deep/scratch, subPath: sub/folder}]
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: keys, secret: {secretName: keys, defaultMode: 256}}
  - {name: scratch, emptyDir: {sizeLimit: 1Mi}}
  - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
)yaml"));
  EXPECT_EQ(logs("p", "container=main"), "hello blue\n");
  EXPECT_EQ(in("p", "echo $PASSWORD $NAME $NODE $MEM $S_colour; hostname"), "word p node1 64 blue\nuno\n");
  EXPECT_EQ(in("p", "ip -4 -o addr show eth0 | grep -c \" $IP/\""), "1\n");
  EXPECT_EQ(in("p", "echo $KUBERNETES_SERVICE_HOST"), "10.96.0.1\n");
  EXPECT_EQ(in("p", "cat /etc/settings/app.conf /single/app.conf /keys/password /about/labels"),
            "mode=fast\nmode=fast\nwordapp=\"web\"");
  EXPECT_EQ(in("p", "stat -c '%a %g' /keys/password; stat -c '%a %g' /scratch"), "440 1234\n2777 1234\n");
  EXPECT_NE(in("p", "touch /etc/settings/x").find("Read-only"), std::string::npos);
  EXPECT_NE(in("p", "dd if=/dev/zero of=/scratch/x bs=1M count=2 2>&1").find("No space left"), std::string::npos);
  EXPECT_EQ(in("p", "rm -f /scratch/x; ls /scratch; echo shared > /scratch/sub/folder/file"), "sub\n");
  const std::string other = fmt::format("lab exec --name {} -c other default/p -- ", name_);
  EXPECT_EQ(carrick(other + "cat /deep/scratch/file").out, "shared\n");
  EXPECT_EQ(carrick(other + "id -u").out, "1000\n");
  EXPECT_NE(carrick(other + "touch /x").err.find("Read-only"), std::string::npos);
}

TEST_F(PodLifeTest, ContainersRunInOrderAndTheirEndsAreTold) {
  ASSERT_NO_FATAL_FAILURE(start(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  initContainers:
  - {name: one, image: x, command: [sh, -c, "echo one >> /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
  - {name: side, image: x, restartPolicy: Always, command: [sh, -c, "echo side >> /shared/order; touch /shared/up; exec sleep 86400"],
     startupProbe: {periodSeconds: 1, failureThreshold: 60, exec: {command: [test, -e, /shared/up]}}, volumeMounts: [{name: shared, mountPath: /shared}]}
  - {name: two, image: x, command: [sh, -c, "echo two >> /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - {name: main, image: x, command: [sh, -c, "cat /shared/order; exit 3"], volumeMounts: [{name: shared, mountPath: /shared}]}
  volumes: [{name: shared, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: done}
spec: {restartPolicy: OnFailure, containers: [{name: c, image: x, command: ["true"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: crashes}
spec: {containers: [{name: c, image: x, command: [sh, -c, "echo run; exit 7"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unstartable}
spec: {restartPolicy: Never, containers: [{name: c, image: x, command: [sleep, "1"], volumeMounts: [{name: v, mountPath: /usr/new}]}], volumes: [{name: v, emptyDir: {}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec: {containers: [{name: c, image: x, command: [sleep, "86400"], env: [{name: A, valueFrom: {configMapKeyRef: {name: later, key: a}}}]}]}
)yaml",
                                1, 5));
  ASSERT_TRUE(comes_to("job", {R"("phase":"Failed")", R"("exitCode":3,"reason":"Error")"}));
  EXPECT_EQ(logs("job", "container=main"), "one\nside\ntwo\n");
  const json::value job = status("job");
  EXPECT_EQ(job.at("initContainerStatuses").at(0).at("state").at("terminated").at("reason"), "Completed");
  EXPECT_TRUE(job.at("initContainerStatuses").at(1).at("state").as_object().contains("terminated"))
      << "the sidecar ended with the pod";
  ASSERT_TRUE(comes_to("done", {R"("phase":"Succeeded")", R"("reason":"Completed")", R"("reason":"PodCompleted")"}));
  ASSERT_TRUE(comes_to(
      "crashes",
      {R"("reason":"CrashLoopBackOff","message":"back-off 10s restarting failed container=c pod=crashes_default()",
       R"("restartCount":1)", R"("exitCode":7)"}));
  EXPECT_EQ(logs("crashes", "previous=true"), "run\n");
  ASSERT_TRUE(comes_to("unstartable",
                       {R"("phase":"Failed")", R"("exitCode":128,"reason":"StartError")", "mountPath /usr/new"}));
  ASSERT_TRUE(
      comes_to("waits", {R"("reason":"CreateContainerConfigError","message":"configmap \"later\" not found")"}));
  ASSERT_TRUE(ask("POST", "configmaps",
                  R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"later"},"data":{"a":"b"}})"));
  ASSERT_TRUE(comes_to("waits", {R"("phase":"Running")", R"("type":"Ready","status":"True")"}));
  EXPECT_EQ(in("waits", "echo $A"), "b\n");
}

// As online-boutique's: whoever finds nobody at the first attempt comes again much later.
TEST_F(PodLifeTest, AnInitContainerFindsWhatIsPlayedAtItsFirstAttempt) {
  ASSERT_NO_FATAL_FAILURE(start(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec:
  initContainers:
  - {name: wait, image: x, command: [sh, -c, "getent hosts web && python3 -c 'import socket; socket.create_connection((\"web\", 80), 1)' || exec sleep 86400"]}
  containers: [{name: main, image: x}]
---)yaml" + std::string(kTwoTiers)));
}

TEST_F(PodLifeTest, ProbesDecideAndHooksRun) {
  ASSERT_NO_FATAL_FAILURE(start(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: c
    image: x
    command: [sh, -c, "trap 'echo ended; exit 0' TERM; while :; do sleep 0.1; done"]
    lifecycle:
      postStart: {exec: {command: [sh, -c, "touch /shared/hello"]}}
      preStop: {exec: {command: [sh, -c, "echo bye > /shared/bye"]}}
    startupProbe: {periodSeconds: 1, failureThreshold: 30, exec: {command: [test, -e, /shared/hello]}}
    readinessProbe: {periodSeconds: 1, failureThreshold: 1, exec: {command: [test, "!", -e, /tmp/busy]}}
    livenessProbe: {periodSeconds: 1, failureThreshold: 1, exec: {command: [test, "!", -e, /tmp/dead]}}
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
)yaml"));
  const std::string ready = R"("type":"Ready","status":"True")", not_ready = R"("type":"Ready","status":"False")";
  ASSERT_TRUE(comes_to("p", {ready, R"("started":true)", R"("restartCount":0)"}));
  in("p", "touch /tmp/busy");
  ASSERT_TRUE(comes_to("p", {not_ready, "readiness probe: exit code 1"}));
  in("p", "rm /tmp/busy");
  ASSERT_TRUE(comes_to("p", {ready}));
  in("p", "touch /tmp/dead");
  ASSERT_TRUE(comes_to("p", {R"("restartCount":1)", "Liveness probe failed: exit code 1", ready}));
  EXPECT_EQ(in("p", "cat /shared/bye; ls /tmp"), "bye\n") << "preStop ran, and the container is a new one";
  EXPECT_EQ(logs("p", "previous=true"), "ended\n") << "SIGTERM came";
}

}  // namespace
}  // namespace carrick::cluster_tests
