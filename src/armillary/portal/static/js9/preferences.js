// Before JS9 is loaded: it shows what it is given, and asks nobody for anything.
// Its worker would only talk to a helper that is not there.
delete window.Worker;
var JS9Prefs = {
  globalOpts: {
    helperType: "none", requireHelper: false, loadProxy: false, allinone: false, debug: 0, logoDisplay: false,
    installDir: new URL(".", document.currentScript.src).href, dropTarget: false, updateTitlebar: false, statusBar: "",
  },
  imageOpts: { colormap: "grey", scale: "log", scaleclipping: "zscale", wcssys: "ICRS", wcsunits: "degrees", valpos: true, opacity: 1 },
};
