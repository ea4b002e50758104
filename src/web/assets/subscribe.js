// Subscribes this browser to pushes of the server that has this key; asks for leave to show them. For residents and officers.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

export async function subscribe(key) {
  if (await Notification.requestPermission() !== "granted") throw new Error("denied");
  await navigator.serviceWorker.register("/sw.js");
  const { pushManager } = await navigator.serviceWorker.ready;
  const wanted = { userVisibleOnly: true, applicationServerKey: bytes(key) };
  return pushManager.subscribe(wanted).catch(async (error) => {
    // One that was made for another key is of no use any more.
    const had = await pushManager.getSubscription();
    if (!had) throw error;
    await had.unsubscribe();
    return pushManager.subscribe(wanted);
  });
}
