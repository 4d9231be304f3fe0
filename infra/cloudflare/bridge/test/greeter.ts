// A Worker of a dispatch namespace that says one thing.
export default {
  fetch(): Response {
    return new Response("hello from the app\n");
  },
};
