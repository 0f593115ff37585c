#pragma once

// Door of the room: a cluster on one machine, in namespaces of its own.
#include "lab/config.h"
#include "lab/connect.h"
#include "lab/host/cgroups.h"
#include "lab/host/files.h"
#include "lab/host/preflight.h"
#include "lab/host/record.h"
#include "lab/nodes/run_nodes.h"
#include "lab/pods/enter.h"
#include "lab/pods/listening.h"
#include "lab/prober/prober.h"
#include "lab/responder/responder.h"
#include "lab/server/lab_server.h"
#include "lab/supervisor/supervisor.h"
#include "lab/up/apply.h"
#include "lab/up/launch.h"
#include "lab/up/readiness_wait.h"
