import { defineConfig } from "vite";

/* The console serves the page at /live and its files below /live/assets; their names carry a hash of what is in them. */
export default defineConfig({
  base: "/live/",
  build: {
    outDir: "../board_built",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ["chrome123", "firefox121", "safari17.5"],
    license: { fileName: "licenses.md" },
  },
});
