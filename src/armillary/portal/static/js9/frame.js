// JS9 in a frame of no origin: bytes come in as messages from the page around it, and what a click meets goes out.
(() => {
  const ready = new Promise((resolve) => { window.$(document).on("JS9:ready", resolve); });
  const tell = (message) => parent.postMessage(message, "*");
  const JS9 = () => window.JS9;
  const image = () => JS9().GetImage();

  // What is at a pixel, counted from 1 as FITS does.
  const read = (x, y) => {
    const im = image();
    const world = im.raw.wcs > 0 ? JS9().PixToWCS(x, y) : null;
    const column = Math.floor(x + 0.5) - 1;
    const row = Math.floor(y + 0.5) - 1;
    const inside = column >= 0 && row >= 0 && column < im.raw.width && row < im.raw.height;
    tell({
      picked: {
        x, y,
        value: inside ? Number(im.raw.data[row * im.raw.width + column]) : null,
        ra: world ? world.ra : null,
        dec: world ? world.dec : null,
        system: world ? world.sys : "",
      },
    });
  };

  const show = (message) => {
    for (const old of [...JS9().images]) JS9().CloseImage({ clear: true }, { display: old.display });
    // the file's own name would mean something to JS9, brackets above all
    JS9().Load(new Blob([message.bytes]), {
      filename: "image.fits",
      onload: (im) => {
        JS9().SetZoom("toFit");
        tell({ loaded: { width: im.raw.width, height: im.raw.height, world: im.raw.wcs > 0 } });
      },
    });
  };

  const act = {
    bytes: show,
    scale: ({ scale }) => JS9().SetScale(scale === "zscale" ? "linear" : scale),
    clip: ({ clip }) => JS9().SetScale(clip),
    colormap: ({ colormap }) => JS9().SetColormap(colormap),
    invert: ({ invert }) => JS9().SetParam("invert", invert),
    zoom: ({ zoom }) => JS9().SetZoom(zoom),
    read: ({ read: at }) => read(at.x, at.y),
  };

  addEventListener("message", async (event) => {
    if (event.source !== parent) return;
    await ready;
    for (const name of Object.keys(act)) if (name in event.data) act[name](event.data);
  });

  ready.then(() => {
    const fit = () => {
      const { clientWidth, clientHeight } = document.documentElement;
      JS9().ResizeDisplay(Math.max(100, clientWidth), Math.max(100, clientHeight));
    };
    fit();
    addEventListener("resize", fit);
    document.addEventListener("click", (event) => {
      if (!image() || !event.target.closest(".JS9")) return;
      const at = JS9().DisplayToImagePos(JS9().EventToDisplayPos(event));
      read(at.x, at.y);
    }, true);
    tell({ ready: true });
  });
})();
