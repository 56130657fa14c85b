// The built files have fixed names: the venue has them in its program, and git sees what has changed in them.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  build: {
    outDir: "../assets/console",
    emptyOutDir: true,
    target: "es2022",
    // Nothing inline: the policy of the page forbids it.
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/console.js",
        chunkFileNames: "assets/console-[name].js",
        assetFileNames: "assets/console[extname]",
      },
    },
  },
});
