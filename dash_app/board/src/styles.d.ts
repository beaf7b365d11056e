/* Vite takes styles in by an import. */
declare module "*.css";
