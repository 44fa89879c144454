//! The tools `web_fetch` and `web_search` of a run, if the server offers them and the run may use them.

use super::Extra;
use crate::{
    agents::tools::Access,
    app::App,
    runs::Run,
    web::tools::{of_run, section},
};

pub(in super::super) fn add(app: &App, run: &Run, access: Access<'_>, extra: &mut Extra) {
    let tools = of_run(app, run.account_id, |name| access.allows(name));
    extra.sections.extend(section(&tools));
    extra.tools.extend(tools);
}
