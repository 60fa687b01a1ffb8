//! A line between two machines that can be cut and mended.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Relay {
    pub url: String,
    is_open: watch::Sender<bool>,
}

impl Relay {
    /// To `address` (host and port); cut, until it is mended.
    pub async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (is_open, opened) = watch::channel(false);
        let address = address.to_owned();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let (address, mut opened) = (address.clone(), opened.clone());
                if *opened.borrow_and_update() {
                    tokio::spawn(async move {
                        let Ok(mut to) = TcpStream::connect(address).await else { return };
                        tokio::select! {
                            _ = copy_bidirectional(&mut from, &mut to) => (),
                            _ = opened.wait_for(|is_open| !*is_open) => (),
                        }
                    });
                }
            }
        });
        Self { url, is_open }
    }

    pub fn mend(&self) {
        self.is_open.send_replace(true);
    }

    /// Also what is under way ends.
    pub fn cut(&self) {
        self.is_open.send_replace(false);
    }
}
