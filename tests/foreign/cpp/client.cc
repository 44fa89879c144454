// Plays the scenario of tests/foreign/scenario.py with gRPC for C++.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "runyard/v1/agents.grpc.pb.h"
#include "runyard/v1/errors.pb.h"
#include "runyard/v1/runs.grpc.pb.h"

namespace v1 = runyard::v1;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

static const char* const CODES[] = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

static const char* code_of(const grpc::Status& status) { return CODES[status.error_code()]; }

static void authorize(grpc::ClientContext& context, const std::string& token = std::getenv("RUNYARD_TOKEN")) {
  context.AddMetadata("authorization", "Bearer " + token);
}

static bool is_terminal(v1::RunStatus status) {
  return status == v1::RUN_STATUS_COMPLETED || status == v1::RUN_STATUS_FAILED || status == v1::RUN_STATUS_STOPPED;
}

// The events of a run that this client has received so far.
struct Progress {
  std::string id;
  long sequence = 0;
  std::string text = {};
  std::string end = {};

  // Records an event. Returns false for a heartbeat.
  bool take(const v1::RunEvent& event) {
    if (event.event_case() == v1::RunEvent::EVENT_NOT_SET) return false;
    sequence = event.sequence();
    if (event.has_message_delta()) {
      text += event.message_delta().text();
    } else if (event.has_tool_call()) {
      const auto& call = event.tool_call();
      std::cout << "tool " << call.name() << " " << call.arguments().fields().at("path").string_value() << std::endl;
    } else if (event.has_status() && is_terminal(event.status().status())) {
      end = v1::RunStatus_Name(event.status().status());
    }
    return true;
  }
};

using Taken = std::function<void(grpc::ClientContext&)>;

// Streams the events that the client has not received yet. Calls `taken` after each event; `taken` can cancel the
// stream.
static grpc::Status stream(v1::RunService::Stub& runs, Progress& run, const Taken& taken, seconds limit = seconds(0)) {
  grpc::ClientContext context;
  authorize(context);
  if (limit.count() > 0) context.set_deadline(system_clock::now() + limit);
  v1::StreamRunRequest request;
  request.set_agent_run_id(run.id);
  request.set_after_sequence(run.sequence);
  auto events = runs.StreamRun(&context, request);
  v1::RunEvent event;
  while (events->Read(&event)) {
    if (run.take(event)) taken(context);
  }
  return events->Finish();
}

static void say_refusal(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  std::cout << "refused " << code_of(status);
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest request;
    v1::Refusal refusal;
    if (detail.UnpackTo(&info)) {
      std::cout << " " << info.reason();
    } else if (detail.UnpackTo(&request)) {
      for (const auto& violation : request.field_violations()) std::cout << " field=" << violation.field();
    } else if (detail.UnpackTo(&refusal)) {
      std::cout << " plan=" << refusal.tier_name() << " " << refusal.current_count() << "/" << refusal.limit();
    }
  }
  std::cout << std::endl;
}

static void refusals(v1::AgentService::Stub& agents) {
  {
    grpc::ClientContext context;
    authorize(context, "a.b.c");
    v1::ListAgentsResponse answer;
    say_refusal(agents.ListAgents(&context, v1::ListAgentsRequest(), &answer));
  }
  v1::Agent answer;
  {
    grpc::ClientContext context;
    authorize(context);
    v1::GetAgentRequest request;
    request.set_agent_id("nonsense");
    say_refusal(agents.GetAgent(&context, request, &answer));
  }
  {
    grpc::ClientContext context;
    authorize(context);
    v1::CreateAgentRequest request;
    request.set_name("One more");
    say_refusal(agents.CreateAgent(&context, request, &answer));
  }
}

static v1::StartRunResponse start(v1::RunService::Stub& runs, const char* prompt) {
  grpc::ClientContext context;
  authorize(context);
  v1::StartRunRequest request;
  request.set_prompt(std::getenv(prompt));
  v1::StartRunResponse answer;
  auto status = runs.StartRun(&context, request, &answer);
  if (!status.ok()) throw std::runtime_error(status.error_message());
  return answer;
}

// Streams a run to its end. Opens a new stream whenever the stream breaks.
static void follow(v1::RunService::Stub& runs, Progress& run) {
  while (run.end.empty()) {
    auto status = stream(runs, run, [&](auto&) { std::cout << "event " << run.sequence << std::endl; });
    if (run.end.empty()) {
      std::cout << "broken " << code_of(status) << std::endl;
      std::this_thread::sleep_for(milliseconds(200));
    }
  }
}

int main() {
  grpc::ChannelArguments options;
  // Without keepalive, a client does not notice that the network drops all packets. By default, the library also stops
  // pinging after two pings if it sends no data. The value 0 removes this limit for a client that only reads a stream.
  options.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  options.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  options.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  std::string server = std::getenv("RUNYARD_SERVER");
  auto channel = grpc::CreateCustomChannel(server.substr(std::string("http://").size()), grpc::InsecureChannelCredentials(), options);
  auto runs = v1::RunService::NewStub(channel);
  auto agents = v1::AgentService::NewStub(channel);
  const Taken nothing = [](auto&) {};

  refusals(*agents);

  auto started = start(*runs, "RUNYARD_PROMPT");
  std::cout << "started " << v1::RunStatus_Name(started.status()) << std::endl;
  Progress first{started.agent_run_id()};
  follow(*runs, first);
  std::cout << "text " << first.text << "\nended " << first.end << std::endl;

  Progress second{start(*runs, "RUNYARD_SLOW_PROMPT").agent_run_id()};
  std::cout << "deadline " << code_of(stream(*runs, second, nothing, seconds(2))) << std::endl;

  Progress again{second.id};
  std::cout << "cancelled " << code_of(stream(*runs, again, [](auto& context) { context.TryCancel(); })) << std::endl;

  grpc::ClientContext context;
  authorize(context);
  v1::StopRunRequest stop;
  stop.set_agent_run_id(second.id);
  v1::Run stopped;
  runs->StopRun(&context, stop, &stopped);
  stream(*runs, second, nothing);
  std::cout << "stopped " << second.end << std::endl;
}
