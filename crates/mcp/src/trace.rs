//! Passes the trace context of a call to the server, in the metadata of the request (MCP SEP-414).

use std::collections::HashMap;

use opentelemetry::{Context, KeyValue, global, trace::TraceContextExt};
use rmcp::model::RequestMetaObject;

/// Adds the current span to the metadata, and names the request in the span. The span of the tool call also describes
/// the request, as the semantic conventions for MCP recommend.
pub(crate) fn pass_on(meta: &mut Option<RequestMetaObject>, tool: &str) {
    let mut context = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject(&mut context));
    let Some(parent) = context.remove("traceparent") else {
        return;
    };
    let meta = meta.get_or_insert_default();
    meta.set_traceparent(&parent);
    if let Some(state) = context.remove("tracestate").filter(|state| !state.is_empty()) {
        meta.set_tracestate(&state);
    }
    let attributes = [("mcp.method.name", "tools/call"), ("runyard.mcp.tool", tool)];
    let current = Context::current();
    current
        .span()
        .set_attributes(attributes.map(|(name, value)| KeyValue::new(name, value.to_owned())));
}
