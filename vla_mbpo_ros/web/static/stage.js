// The big pictures: live, or what a dream shows at one place of the scrubber.
//
//   place   0 live | 1 the real pictures that the dream began with | 1 + k after chunk k

import { byId, make, say, words } from "./dom.js";
import { cameraAddress, dreamAddress } from "./net.js";

const STALE_MS = 3000; // a camera that sent nothing new for so long is said to be still

export class Stage {
  constructor() {
    this.views = new Map(); // camera -> its elements, the stamp shown and when it came
  }

  /** `shown` is null for live, else {dream, sample, chunk}. */
  draw(cameras, shown) {
    if (cameras.map((each) => each.name).join() !== [...this.views.keys()].join()) this.build(cameras);
    for (const camera of cameras) {
      const view = this.views.get(camera.name);
      if (camera.stamp !== view.stamp) {
        view.stamp = camera.stamp;
        view.since = performance.now();
      }
      const dreamed = shown && shown.dream.views.includes(camera.name);
      if (dreamed) this.drawDream(view, camera.name, shown);
      else this.drawLive(view, camera);
    }
  }

  build(cameras) {
    this.views.clear();
    byId("views").replaceChildren(
      ...cameras.map(({ name }) => {
        const image = make("img", { alt: `${words(name)}, no picture yet` });
        const badge = make("span", { className: "badge" });
        const figure = make("figure", { className: "view" }, image, make("figcaption", {}, words(name), badge));
        figure.dataset.camera = name;
        this.views.set(name, { image, badge, figure, stamp: null, since: 0 });
        return figure;
      }),
    );
  }

  drawLive(view, camera) {
    const still = performance.now() - view.since > STALE_MS;
    view.figure.dataset.state = camera.stamp === "" ? "none" : still ? "still" : "live";
    say(view.badge, { none: "no picture yet", still: "no new picture", live: "live" }[view.figure.dataset.state]);
    if (camera.stamp !== "") this.show(view, cameraAddress(camera.name, camera.stamp), `${words(camera.name)}, live`);
  }

  drawDream(view, name, { dream, sample, chunk }) {
    view.figure.dataset.state = chunk === 0 ? "before" : "imagined";
    const where = chunk === 0 ? "when it began" : `imagined, after chunk ${chunk}`;
    say(view.badge, where);
    this.show(view, dreamAddress(dream.key, sample, chunk, name), `${words(name)}, ${where}`);
  }

  /** One picture at a time: on a slow link the next is asked for when the last has come. */
  show(view, address, alt) {
    if (view.image.dataset.address === address || (view.image.src && !view.image.complete)) return;
    view.image.dataset.address = address;
    view.image.alt = alt;
    view.image.src = address;
  }
}
