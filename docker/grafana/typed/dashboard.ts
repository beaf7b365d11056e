// What our dashboards are made of, by Grafana's own types. A test writes each JSON file as a value of `Ours` beside this file, so
// that tsc compares every field: a name that Grafana does not know is an error, as is a value of another type.
import type { Dashboard, DataQuery, Panel } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  Options as TimelineOptions,
  FieldConfig as TimelineField,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  Options as TableOptions,
  FieldConfig as TableField,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type {
  Options as GraphOptions,
  FieldConfig as GraphField,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has the values of enums, and no enums.
type Json<T> = 0 extends 1 & T
  ? T
  : T extends string
    ? `${T}`
    : T extends number
      ? number
      : T extends ReadonlyArray<infer Each>
        ? Json<Each>[]
        : T extends object
          ? { [Key in keyof T]: Json<T[Key]> }
          : T;

// The data sources' own queries are not in @grafana/schema.
interface PromQuery extends DataQuery {
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  editorMode: 'code' | 'builder';
}
interface ClickHouseQuery extends DataQuery {
  rawSql: string;
  editorType: 'sql' | 'builder';
  queryType: 'timeseries' | 'table';
  format: 0 | 1;
}
interface LiveQuery extends DataQuery {
  queryType: 'measurements';
  channel: string;
}
type Query = PromQuery | ClickHouseQuery | LiveQuery;

interface Of<Type extends string, Options, Field> extends Omit<Panel<Options, Field>, 'options' | 'targets' | 'type'> {
  type: Type;
  options: Options;
  targets: Query[];
}
type OurPanel =
  | Of<'stat', StatOptions, Record<string, never>>
  | Of<'timeseries', GraphOptions, GraphField>
  | Of<'state-timeline', TimelineOptions, TimelineField>
  | Of<'table', TableOptions, Partial<TableField>>;

export type Ours = Json<Omit<Dashboard, 'panels'> & { panels: OurPanel[] }>;
