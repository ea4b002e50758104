// Which of the offline pages are kept when the worker is installed.
const pages = () => [...(stores.get("tocsin-t") ?? new Map()).keys()].filter((url) => url.startsWith("/offline")).map((url) => url.split("=")[1]);
happens("install", {}).then(() => console.log(pages().sort().join(" ")), () => console.log("not installed"));
