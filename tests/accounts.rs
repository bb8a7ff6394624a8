//! Who may log in, and as whom: the proxy gives the answer that the servers would.

use mysql_async::prelude::Queryable;

use crate::fixture::{Proxy, on_both_flavours};

on_both_flavours! {
    async fn a_servers_account_may_log_in(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut client = proxy.connect("app", "app").await.unwrap();
        let user: Option<String> = client.query_first("SELECT CURRENT_USER()").await.unwrap();
        assert_eq!(user.as_deref(), Some("app@%"));
    }
}
