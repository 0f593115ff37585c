# Sourced by run.sh: commands that send what they make in protobuf from kubectl 1.32 on (API-S1), and in JSON before.
check typed-namespace 'namespace/typed created' k create namespace typed
check typed-deployment 'deployment.apps/web created' k -n typed create deployment web --image=nginx:1 --replicas=2 --port=80
check typed-deployment-runs 'successfully rolled out' k -n typed rollout status deploy/web --timeout=20s
check typed-port-kept '^80$' k -n typed get deploy web -o 'jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}'
check typed-configmap 'configmap/settings created' k -n typed create configmap settings --from-literal=colour=blue
check typed-configmap-data '^blue$' k -n typed get cm settings -o 'jsonpath={.data.colour}'
check typed-secret 'secret/pass created' k -n typed create secret generic pass --from-literal=word=hunter2
check typed-secret-data '^aHVudGVyMg==$' k -n typed get secret pass -o 'jsonpath={.data.word}'
check typed-registry 'secret/reg created' k -n typed create secret docker-registry reg --docker-username=u --docker-password=p
check typed-clusterip 'service/web created' k -n typed create service clusterip web --tcp=80:8080
check typed-clusterip-port '^8080$' k -n typed get svc web -o 'jsonpath={.spec.ports[0].targetPort}'
check typed-nodeport 'service/np created' k -n typed create service nodeport np --tcp=80 --node-port=30123
check typed-loadbalancer 'service/lb created' k -n typed create service loadbalancer lb --tcp=80
check typed-externalname 'service/en created' k -n typed create service externalname en --external-name example.com
check typed-ingress 'ingress.networking.k8s.io/front created' k -n typed create ingress front --rule=shop.example/=web:80
check typed-ingress-port '^80$' k -n typed get ingress front -o 'jsonpath={.spec.rules[0].http.paths[0].backend.service.port.number}'
check typed-job 'job.batch/once created' k -n typed create job once --image=busybox -- true
check typed-cronjob 'cronjob.batch/often created' k -n typed create cronjob often --image=busybox --schedule='*/5 * * * *' -- true
check typed-role 'role.rbac.authorization.k8s.io/reader created' k -n typed create role reader --verb=get,list --resource=pods
check typed-rolebinding 'rolebinding.rbac.authorization.k8s.io/readers created' k -n typed create rolebinding readers --role=reader --user=ann
check typed-clusterrole 'clusterrole.rbac.authorization.k8s.io/health created' k create clusterrole health --verb=get --non-resource-url=/healthz
check typed-clusterrolebinding 'clusterrolebinding.rbac.authorization.k8s.io/healths created' k create clusterrolebinding healths --clusterrole=health --group=g
check typed-quota 'resourcequota/few created' k -n typed create quota few --hard=pods=10,cpu=2
check typed-quota-cpu '^2$' k -n typed get quota few -o 'jsonpath={.spec.hard.cpu}'
check typed-pdb 'poddisruptionbudget.policy/keep created' k -n typed create pdb keep --selector=app=web --min-available=50%
check typed-pdb-percent '^50%$' k -n typed get pdb keep -o 'jsonpath={.spec.minAvailable}'
check typed-priorityclass 'priorityclass.scheduling.k8s.io/high created' k create priorityclass high --value=1000
check typed-serviceaccount 'serviceaccount/robot created' k -n typed create serviceaccount robot
refuse typed-again 'AlreadyExists|already exists' k -n typed create configmap settings
refuse typed-invalid 'Invalid value' k -n typed create service nodeport bad --tcp=80 --node-port=80
check typed-can-i '^yes$' k auth can-i create deployments
check typed-whoami 'kubernetes-admin' k auth whoami
# Before 1.33 it speaks autoscaling/v1, which this server does not have.
[ "$version" -lt 33 ] || check typed-autoscale 'autoscaled' k -n typed autoscale deploy web --min=1 --max=3 --cpu-percent=80
check typed-delete 'namespace "typed" deleted' k delete ns typed --timeout=30s
